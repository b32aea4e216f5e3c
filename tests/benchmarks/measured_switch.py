"""A switch to measure: a separate process on the benchmark's database, with one provider of
simulated phones, one account, and an endpoint that answers every event with 200.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from django_poketalk.server.billing import ledger, rating  # noqa: E402
from django_poketalk.server.database import notify  # noqa: E402
from django_poketalk.server.database.notify import Notification  # noqa: E402
from django_poketalk.server.models import (  # noqa: E402
    Account,
    AllowedAddress,
    ApiKey,
    Call,
    EventDelivery,
    Gateway,
    LedgerEntry,
    Leg,
    PriceList,
    Rate,
    ServiceProvider,
    Switch,
)

ROOT = Path(__file__).resolve().parent.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
QUERY = "webcallid=$webcallid&status=$status&duration=$duration&debit=$debit"

# Fictional numbers (Ofcom's drama range); the last two digits choose the phone.
AT_ONCE = "442079460120"  # answers at once, and never hangs up
SHORT = "442079460110"  # answers after three seconds, and hangs up five seconds later


@dataclass
class Service:
    """The rows that calls require: an account with funds, a rate and a gateway."""

    account: Account
    provider: ServiceProvider
    rate: Rate
    eventurl: str = ""

    @classmethod
    def make(cls) -> Service:
        """Empty the database, and create the rows."""
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            for model in (EventDelivery, Leg, LedgerEntry, Call, Switch):
                cursor.execute(f"DELETE FROM {model._meta.db_table}")
        for model in (ApiKey, Rate, Gateway, Account, PriceList, ServiceProvider):
            model.objects.all().delete()
        provider = ServiceProvider.objects.create(name="Carrier")
        Gateway.objects.create(provider=provider, name="Phones", kind="simulated")
        price_list = PriceList.objects.create(name="Prices")
        rate = Rate.objects.create(
            price_list=price_list, prefix="", price_per_minute=Decimal("0.6")
        )
        account = Account.objects.create(name="Customer", provider=provider, price_list=price_list)
        ledger.top_up(account, Decimal(10**8))
        return cls(account, provider, rate)

    def open_to(self, address: str) -> str:
        """Issue an API key that may be used from this address."""
        AllowedAddress.objects.create(account=self.account, network=address)
        return ApiKey.issue(self.account)[1]

    def queue(self, calls: int, a: str, b: str, max_duration: int = 3600) -> None:
        """Admit calls in few statements, because only the switch is measured."""
        first = rating.call_cost(self.rate.tariff, self.rate.tariff, 120, 120)
        rows = [
            Call(
                account=self.account,
                provider=self.provider,
                custom="benchmark",
                from_number=a,
                to_number=b,
                eventurl=self.eventurl,
                remote_address="127.0.0.1",
                rate_a=self.rate,
                rate_b=self.rate,
                max_duration=max_duration,
                held=first,
            )
            for _ in range(calls)
        ]
        with django.db.transaction.atomic():
            account = ledger.lock(self.account.pk)
            Account.objects.filter(pk=account.pk).update(held=account.held + first * calls)
            Call.objects.bulk_create(rows)
            notify.send(Notification.QUEUED)


@dataclass
class Measured:
    """The process of the switch."""

    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """CPU seconds of all its threads."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    def rss(self) -> float:
        """Its resident memory in MB."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * PAGE / 1e6


@contextlib.contextmanager
def endpoint() -> Iterator[str]:
    """An endpoint in a separate process; yields its EventURL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.measured_switch"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        yield f"http://127.0.0.1:{port}/call_report.php?{QUERY}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def switch(log: str = os.devnull, *arguments: str) -> Iterator[Measured]:
    """A switch on the benchmark's database, after its first heartbeat."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.server.switch.switch_settings",
        "SWITCH_DATABASE": str(connection.settings_dict["NAME"]),
        "SWITCH_LEASE": "15",
    }
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "django", "poketalk_switch", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 30
        while not Switch.objects.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The switch did not start; see {log}.")
            time.sleep(0.1)
        yield Measured(process)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def header() -> str:
    """The versions and the machine."""
    return (
        f"{connection.vendor}, Django {django.__version__}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


def spread(seconds: Sequence[float]) -> str:
    """p50, p99 and maximum, in milliseconds."""
    if len(seconds) < 2:
        return "nothing measured"
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    named = {"p50": cuts[49], "p99": cuts[98], "max": max(seconds)}
    return "   ".join(f"{name} {1000 * value:7.1f} ms" for name, value in named.items())


async def _answer_everything() -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_answer_everything())
