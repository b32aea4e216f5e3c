"""Measure SIP calls: setups per second, CPU time per call, and the number of calls that fit.

    export DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench
    python -m tests.benchmarks.sip_calls --rate 45 --seconds 60
    python -m tests.benchmarks.sip_calls --rate 45 --held 10000 --seconds 120
    python -m tests.benchmarks.sip_calls --rate 45 --seconds 60 --flood 2000

Runs `manage.py poketalk_switch` in a separate process, with ledger, call rows and events, on an
existing PostgreSQL database: it is migrated, and its accounts and calls are deleted. SIPp (Debian's
sip-tester) simulates all phones; `event_sink` receives the events. Everything runs on this machine,
on loopback. Calls are admitted at a steady rate and talk for `--talk` seconds. With
`--held N`, N calls talk until the last one is `--seconds` old. CPU times are read from `/proc`; the
main thread is reported as asyncio. With `--flood N`, a stranger sends N requests per second.
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
from contextlib import ExitStack, contextmanager, suppress
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
    PriceList,
    Rate,
    ServiceProvider,
    Side,
)
from tests.server.switch.gateways.sip.flood import flooding  # noqa: E402
from tests.server.switch.gateways.sip.ports import free_port, wait_until_bound  # noqa: E402

ROOT = Path(__file__).parents[2]
PHONE = Path(__file__).with_name("load_phone.xml")
A, B = "441", "442"  # prefixes of the legs' numbers
TICK = os.sysconf("SC_CLK_TCK")
CONNECTED, ENDED = 7, 8  # the statuses
RING_TIME = 100  # milliseconds from ringing to the answer
GRACE = 60  # additional seconds for calls to end
LOGGED = re.compile(r"(ringing|answered) (\d{12}) .*\t(\d+\.\d+)")


def _name_and_cpu(stat: Path) -> tuple[str, float]:
    """The name and CPU seconds of a thread, or of a process with all threads that it ever had."""
    name, _, fields = stat.read_text().partition("(")[2].rpartition(")")
    user, system = fields.split()[11:13]
    return name, (int(user) + int(system)) / TICK


class Switch:
    """The measured process, read from `/proc`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._proc = Path(f"/proc/{process.pid}")

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by the name of the thread; of threads that have ended, in one sum."""
        used: Counter[str] = Counter()
        for task in self._proc.glob("task/*"):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                name, seconds = _name_and_cpu(task / "stat")
                is_main = task.name == str(self.process.pid)
                used["asyncio" if is_main else name.rstrip("_0123456789")] += seconds
        ended = _name_and_cpu(self._proc / "stat")[1] - used.total()
        return {**used, "ended threads": ended}

    def memory(self) -> tuple[int, int]:
        """Its current and peak memory in MB."""
        status = (self._proc / "status").read_text()
        sizes = dict(re.findall(r"(\w+):\s+(\d+) kB", status))
        return int(sizes["VmRSS"]) // 1024, int(sizes["VmHWM"]) // 1024


@contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is stopped at the end."""
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
def phones(
    count: int, seconds: float, folder: Path, prefix: str, scenario: Path = PHONE
) -> Iterator[int]:
    """SIPp as phones for `count` calls; yields its port."""
    port = free_port()
    options = f"-i 127.0.0.1 -p {port} -mi 127.0.0.1 -mp {port + 10_000} -m {count} -d {RING_TIME}"
    options += f" -timeout {seconds:.0f}s -nostdin -buff_size 8388608 -trace_logs -trace_err"
    files = ["-log_file", str(folder / f"{prefix}.log"), "-error_file", str(folder / prefix)]
    with running("sipp", "-sf", str(scenario), *options.split(), *files):
        wait_until_bound(port)
        yield port


def prepare(ports: dict[str, int]) -> tuple[Account, Rate]:
    """Create an account with funds, and a gateway for each leg."""
    tables = ", ".join(model._meta.db_table for model in (Call, Account, Gateway))
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} CASCADE")
    provider = ServiceProvider.objects.get_or_create(name="Benchmark")[0]
    price_list = PriceList.objects.get_or_create(name="Benchmark")[0]
    account = Account.objects.create(name="Benchmark", provider=provider, price_list=price_list)
    ledger.top_up(account, Decimal(10**9))
    rate, _ = Rate.objects.get_or_create(
        price_list=price_list, prefix="", defaults={"price_per_minute": Decimal("0.6")}
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
    """Queue a call with its first hold. Return the time of the commit."""
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
    """Make one call, so that everything is imported and connected. Then delete it."""
    admit(account, rate, 999_999_999, 1, eventurl)
    deadline = time.monotonic() + GRACE
    while Call.objects.exclude(state=Call.State.ENDED).exists():
        assert time.monotonic() < deadline, "The switch does not serve calls."
        time.sleep(0.1)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {Call._meta.db_table} CASCADE")


class Admission(threading.Thread):
    """Admits calls at a steady rate, which does not depend on how long an admission takes."""

    def __init__(self, options: argparse.Namespace, talk: int, *service: object) -> None:
        super().__init__()
        self._options, self._talk, self._service = options, talk, service
        self.admitted: dict[str, float] = {}

    def run(self) -> None:
        began = time.monotonic()
        last = began + (self._options.calls - 1) / self._options.rate + self._options.seconds
        for number in range(self._options.calls):
            time.sleep(max(0.0, began + number / self._options.rate - time.monotonic()))
            # All held calls end at the same time.
            talk = self._talk or int(last - time.monotonic())
            account, rate, eventurl = self._service
            moment = admit(account, rate, number, talk, eventurl)  # type: ignore[arg-type]
            self.admitted[f"{A}{number:09d}"] = moment
        connections.close_all()


def logged(folder: Path) -> dict[str, dict[str, float]]:
    """When phones rang and answered, by number."""
    found: dict[str, dict[str, float]] = {"ringing": {}, "answered": {}}
    for path in folder.glob("*.log"):
        for event, number, moment in LOGGED.findall(path.read_text()):
            found[event].setdefault(number, float(moment))
    return found


def milliseconds(seconds: list[float]) -> str:
    """Median, 99th percentile and maximum."""
    ordered = sorted(seconds) or [float("nan")]
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    return f"p50 {1000 * p50:.1f}  p99 {1000 * p99:.1f}  max {1000 * ordered[-1]:.1f} ms"


def lateness(statuses: set[int]) -> list[float]:
    """Seconds from the moment that an event of a connected call reports to its sending."""
    answers: dict[int, datetime] = dict(
        Leg.objects.filter(side=Side.B, answered_at__isnull=False).values_list(
            "call", "answered_at"
        )
    )
    sent = EventDelivery.objects.filter(duration__gt=0, call__in=answers, status__in=statuses)
    return [
        (sent_at - answers[call]).total_seconds() - duration
        for call, sent_at, duration in sent.values_list("call", "sent_at", "duration")
    ]


def report(
    before: dict[str, float], switch: Switch, admission: Admission, folder: Path, took: float
) -> None:
    """Print the results."""
    calls = len(admission.admitted)
    used = {name: used - before.get(name, 0) for name, used in switch.cpu().items()}
    causes = Counter(Call.objects.values_list("status", "hangup_cause"))
    completed = causes.pop((ENDED, "max_duration"), 0)
    seen = logged(folder)
    first = [
        seen["ringing"][number] - moment
        for number, moment in admission.admitted.items()
        if number in seen["ringing"]
    ]
    second = [
        seen["ringing"][b] - moment
        for a, moment in seen["answered"].items()
        if a.startswith(A) and (b := B + a[len(A) :]) in seen["ringing"]
    ]
    print(f"setups      {completed / took:.1f}/s; {completed} of {calls} calls completed")
    print(f"failures    {calls - completed}  {dict(causes) if causes else ''}")
    print(
        f"CPU         {1000 * sum(used.values()) / calls:.2f} ms per call in the switch", end=": "
    )
    print(
        ", ".join(
            f"{name} {1000 * seconds / calls:.2f}"
            for name, seconds in sorted(used.items(), key=lambda item: -item[1])
            if seconds > 0.0001 * calls
        )
    )
    share = 1000 * sum(used.values()) / calls
    print(
        f"CPU-ms per call in the switch   {share:.1f}   (goal: 16 or less; 7 at 90 calls a second)"
    )
    print(f"request → INVITE A       {milliseconds(first)}")
    print(f"A's 200 → INVITE B       {milliseconds(second)}")
    print(f"ticks, delay             {milliseconds(lateness({CONNECTED}))}")
    print(f"final events, delay      {milliseconds(lateness({ENDED}))}")
    print("RSS         {} MB, peak {} MB".format(*switch.memory()), flush=True)


def measure(options: argparse.Namespace, folder: Path) -> None:
    talk = 0 if options.held else options.talk
    placing = options.calls / options.rate
    longest = placing + (options.seconds if options.held else options.talk) + GRACE
    sink, sip = free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(running(sys.executable, "-m", "tests.benchmarks.event_sink", str(sink)))
        ports = {
            prefix: stack.enter_context(phones(options.calls + 1, longest + GRACE, folder, prefix))
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
        flood = stack.enter_context(flooding(sip, options.flood)) if options.flood else None
        before, began = switch.cpu(), time.monotonic()
        admission = Admission(options, talk, account, rate, eventurl)
        admission.start()
        admission.join()
        took = time.monotonic() - began
        deadline = time.monotonic() + longest - placing
        unended = Call.objects.exclude(state=Call.State.ENDED)
        while unended.exists() and time.monotonic() < deadline:
            time.sleep(1)
            if options.held and unended.filter(status=CONNECTED).count() == options.calls:
                print(f"{options.calls} held, RSS {switch.memory()[0]} MB", flush=True)
                options.held = 0
        report(before, switch, admission, folder, took)
        if flood:
            print(f"flood       {flood.sent} requests of a stranger, {flood.answered} answered")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=45, help="calls per second")
    parser.add_argument(
        "--seconds", type=int, default=60, help="how long to admit calls, or to hold them"
    )
    parser.add_argument("--talk", type=int, default=5, help="duration of a call in seconds")
    parser.add_argument("--held", type=int, default=0, help="number of simultaneous calls to hold")
    parser.add_argument("--flood", type=int, default=0, help="requests per second of a stranger")
    options = parser.parse_args()
    options.calls = options.held or int(options.rate * options.seconds)
    call_command("migrate", verbosity=0)
    versions = ", ".join(f"{name} {version(name)}" for name in ("django", "sippy", "aiohttp"))
    sipp = shutil.which("sipp")
    assert sipp, "apt-get install sip-tester"
    output = subprocess.run([sipp, "-v"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"SIPp (\S+)", output)
    print(f"{connection.vendor}, {versions}, SIPp {found[1] if found else '?'}", end=", ")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores", end=", ")
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="sip-calls-") as folder:
        measure(options, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
