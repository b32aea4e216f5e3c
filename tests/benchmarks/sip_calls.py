"""How many real calls a switch sets up, what each costs it, and how many it can hold.

    export DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench
    python -m tests.benchmarks.sip_calls --rate 45 --seconds 60
    python -m tests.benchmarks.sip_calls --rate 45 --held 10000 --seconds 120

`manage.py poketalk_switch` in a process of its own, with ledger, call rows and events, on an
existing PostgreSQL database that is migrated here and emptied of accounts and calls; SIPp (Debian's
sip-tester) plays all phones, an endpoint of our own takes the events. All share this machine, on
loopback. Calls are admitted at a steady rate and talk for `--talk` seconds; with `--held N`, N of
them talk until the last was `--seconds` old. CPU is read from `/proc`; asyncio is the main thread.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, connections, transaction  # noqa: E402

from django_poketalk.server.billing import ledger, rating  # noqa: E402
from django_poketalk.server.models import (  # noqa: E402
    Account,
    Call,
    EventDelivery,
    Gateway,
    Leg,
    Rate,
    ServiceProvider,
    Side,
)
from tests.server.switch.gateways.sip.conftest import free_port, wait_for  # noqa: E402

ROOT = Path(__file__).parents[2]
PHONE = Path(__file__).with_name("load_phone.xml")
A, B = "441", "442"  # what the numbers of the legs begin with
TICK = os.sysconf("SC_CLK_TCK")
CONNECTED, ENDED = 7, 8  # the statuses
PICK_UP = 100  # milliseconds that a phone rings
GRACE = 60  # seconds for what is still going on when the last call was admitted
LOGGED = re.compile(r"(rung|picked up) (\d{12}) .*\t(\d+\.\d+)")


class Switch:
    """The measured process, as `/proc` knows it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._proc = Path(f"/proc/{process.pid}")

    def cpu(self) -> dict[str, float]:
        """CPU seconds that its threads have used until now, by their names."""
        used: Counter[str] = Counter()
        for task in self._proc.glob("task/*"):
            name, _, fields = (task / "stat").read_text().partition("(")[2].rpartition(")")
            user, system = fields.split()[11:13]
            name = "asyncio" if task.name == str(self.process.pid) else name.rstrip("_0123456789")
            used[name] += (int(user) + int(system)) / TICK
        return dict(used)

    def memory(self) -> tuple[int, int]:
        """MB that it has now, and that it had at most."""
        status = (self._proc / "status").read_text()
        sizes = dict(re.findall(r"(\w+):\s+(\d+) kB", status))
        return int(sizes["VmRSS"]) // 1024, int(sizes["VmHWM"]) // 1024


@contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is stopped at the end, its output in a file that is shown if it fails."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=None,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def phones(count: int, seconds: float, folder: Path, prefix: str) -> Iterator[int]:
    """SIPp as `count` phones, on the yielded port."""
    port = free_port()
    options = f"-i 127.0.0.1 -p {port} -mi 127.0.0.1 -mp {port + 10_000} -m {count} -d {PICK_UP}"
    options += f" -timeout {seconds:.0f}s -nostdin -buff_size 8388608 -trace_logs -trace_err"
    files = ["-log_file", str(folder / f"{prefix}.log"), "-error_file", str(folder / prefix)]
    with running("sipp", "-sf", str(PHONE), *options.split(), *files):
        wait_for(port)
        yield port


def prepare(ports: dict[str, int]) -> tuple[Account, Rate]:
    """An account with money, and a gateway for each side."""
    tables = ", ".join(model._meta.db_table for model in (Call, Account, Gateway))
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} CASCADE")
    provider = ServiceProvider.objects.get_or_create(name="Benchmark")[0]
    account = Account.objects.create(name="Benchmark", provider=provider)
    ledger.top_up(account, Decimal(10**9))
    rate, _ = Rate.objects.get_or_create(
        provider=provider, prefix="", defaults={"price_per_minute": Decimal("0.6")}
    )
    for prefix, port in ports.items():
        Gateway.objects.create(
            provider=provider,
            name=f"Phones {prefix}",
            kind="sip",
            prefixes=prefix,
            host="127.0.0.1",
            port=port,
        )
    return account, rate


def admit(account: Account, rate: Rate, number: int, talk: int, eventurl: str) -> float:
    """Queue a call with its first hold; when it was there to be taken."""
    call = Call(
        account=account,
        provider=account.provider,
        custom=f"bench{number}",
        eventurl=eventurl,
        from_number=f"{A}{number:09d}",
        to_number=f"{B}{number:09d}",
        remote_address="127.0.0.1",
        rate_a=rate,
        rate_b=rate,
        max_duration=talk,
    )
    held = min(talk, 120)
    hold = rating.call_cost(rate.tariff, rate.tariff, held, held)
    with transaction.atomic():
        assert ledger.queue(call, ledger.lock(account.pk), hold)
    return time.time()


def warm_up(account: Account, rate: Rate, eventurl: str) -> None:
    """One call, so that all is imported and connected; forgotten afterwards."""
    admit(account, rate, 999_999_999, 1, eventurl)
    give_up = time.monotonic() + GRACE
    while Call.objects.exclude(state=Call.State.ENDED).exists():
        assert time.monotonic() < give_up, "The switch takes no calls."
        time.sleep(0.1)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {Call._meta.db_table} CASCADE")


class Admission(threading.Thread):
    """Admits calls at a steady rate; each is due at its moment, however long the last one took."""

    def __init__(self, asked: argparse.Namespace, talk: int, *means: object) -> None:
        super().__init__()
        self._asked, self._talk, self._means = asked, talk, means
        self.admitted: dict[str, float] = {}

    def run(self) -> None:
        began = time.monotonic()
        last = began + (self._asked.calls - 1) / self._asked.rate + self._asked.seconds
        for number in range(self._asked.calls):
            time.sleep(max(0.0, began + number / self._asked.rate - time.monotonic()))
            # Held calls all talk until the last one has done so for long enough.
            talk = self._talk or int(last - time.monotonic())
            account, rate, eventurl = self._means
            moment = admit(account, rate, number, talk, eventurl)  # type: ignore[arg-type]
            self.admitted[f"{A}{number:09d}"] = moment
        connections.close_all()


def logged(folder: Path) -> dict[str, dict[str, float]]:
    """When phones were rung and picked up, by their numbers."""
    found: dict[str, dict[str, float]] = {"rung": {}, "picked up": {}}
    for path in folder.glob("*.log"):
        for what, number, moment in LOGGED.findall(path.read_text()):
            found[what].setdefault(number, float(moment))
    return found


def milliseconds(seconds: list[float]) -> str:
    """Median, 99th percentile and worst."""
    ordered = sorted(seconds) or [float("nan")]
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    return f"p50 {1000 * p50:.1f}  p99 {1000 * p99:.1f}  worst {1000 * ordered[-1]:.1f} ms"


def lateness(statuses: set[int]) -> list[float]:
    """Seconds between the moment that an event of a connected call speaks of and its sending."""
    answers: dict[int, datetime] = dict(
        Leg.objects.filter(side=Side.B, answered_at__isnull=False).values_list(
            "call", "answered_at"
        )
    )
    told = EventDelivery.objects.filter(duration__gt=0, call__in=answers, status__in=statuses)
    return [
        (sent_at - answers[call]).total_seconds() - duration
        for call, sent_at, duration in told.values_list("call", "sent_at", "duration")
    ]


def report(
    before: dict[str, float], switch: Switch, admission: Admission, folder: Path, took: float
) -> None:
    """Print what is to be known."""
    calls = len(admission.admitted)
    used = {name: used - before.get(name, 0) for name, used in switch.cpu().items()}
    causes = Counter(Call.objects.values_list("status", "hangup_cause"))
    fine = causes.pop((ENDED, "max_duration"), 0)
    seen = logged(folder)
    first = [
        seen["rung"][number] - moment
        for number, moment in admission.admitted.items()
        if number in seen["rung"]
    ]
    second = [
        seen["rung"][b] - moment
        for a, moment in seen["picked up"].items()
        if a.startswith(A) and (b := B + a[len(A) :]) in seen["rung"]
    ]
    print(f"setups      {fine / took:.1f}/s; {fine} of {calls} calls as they should be")
    print(f"failures    {calls - fine}  {dict(causes) if causes else ''}")
    print(f"CPU         {1000 * sum(used.values()) / calls:.2f} ms a call in the switch", end=": ")
    print(
        ", ".join(
            f"{name} {1000 * seconds / calls:.2f}"
            for name, seconds in sorted(used.items(), key=lambda item: -item[1])
            if seconds > 0.0001 * calls
        )
    )
    print(f"request → INVITE A       {milliseconds(first)}")
    print(f"A's 200 → INVITE B       {milliseconds(second)}")
    print(f"ticks, late              {milliseconds(lateness({CONNECTED}))}")
    print(f"ends, late               {milliseconds(lateness({ENDED}))}")
    print("RSS         {} MB, at most {} MB".format(*switch.memory()), flush=True)


def measure(asked: argparse.Namespace, folder: Path) -> None:
    talk = 0 if asked.held else asked.talk
    placing = asked.calls / asked.rate
    most = placing + (asked.seconds if asked.held else asked.talk) + GRACE
    sink, sip = free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(running(sys.executable, "-m", "tests.benchmarks.event_sink", str(sink)))
        ports = {
            prefix: stack.enter_context(phones(asked.calls + 1, most + GRACE, folder, prefix))
            for prefix in (A, B)
        }
        account, rate = prepare(ports)
        process = stack.enter_context(
            running(
                *(sys.executable, "-m", "django", "poketalk_switch", "--name", "benchmark"),
                DJANGO_SETTINGS_MODULE="tests.benchmarks.switch_settings",
                BENCH_EVENT_PORT=str(sink),
                BENCH_SIP_PORT=str(sip),
            )
        )
        switch = Switch(process)
        query = "webcallid=$webcallid&status=$status&duration=$duration&debit=$debit"
        eventurl = f"http://127.0.0.1:{sink}/call_report.php?{query}"
        warm_up(account, rate, eventurl)
        before, began = switch.cpu(), time.monotonic()
        admission = Admission(asked, talk, account, rate, eventurl)
        admission.start()
        admission.join()
        took = time.monotonic() - began
        give_up = time.monotonic() + most - placing
        unended = Call.objects.exclude(state=Call.State.ENDED)
        while unended.exists() and time.monotonic() < give_up:
            time.sleep(1)
            if asked.held and unended.filter(status=CONNECTED).count() == asked.calls:
                print(f"{asked.calls} held, RSS {switch.memory()[0]} MB", flush=True)
                asked.held = 0
        report(before, switch, admission, folder, took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=45, help="calls admitted in a second")
    parser.add_argument("--seconds", type=int, default=60, help="for how long, or to hold them all")
    parser.add_argument("--talk", type=int, default=5, help="seconds that a call is connected")
    parser.add_argument("--held", type=int, default=0, help="calls to be held at a time")
    asked = parser.parse_args()
    asked.calls = asked.held or int(asked.rate * asked.seconds)
    call_command("migrate", verbosity=0)
    versions = ", ".join(f"{name} {version(name)}" for name in ("django", "sippy", "aiohttp"))
    sipp = shutil.which("sipp")
    assert sipp, "apt-get install sip-tester"
    said = subprocess.run([sipp, "-v"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"SIPp (\S+)", said)
    print(f"{connection.vendor}, {versions}, SIPp {found[1] if found else '?'}", end=", ")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores", end=", ")
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="sip-calls-") as folder:
        measure(asked, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
