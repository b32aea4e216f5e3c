"""Measure the speed of the event view, compared with a naive view, with an empty one, and with the
least that a view can do which records an event.

    DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench python -m tests.benchmarks.event_view
    ... [--rounds 7] [--calls 12] [--unprepared]

Runs gunicorn, with one process of four threads, on an existing database, which it migrates, and
sends it events of four calls at once. It deletes all calls. Rounds are interleaved. The CPU time is
that of gunicorn and, on PostgreSQL on this machine, of its connections: it tells how many events a
machine can receive, while the rate also depends on its disk and on other work. Compare the ratios
between machines, not the figures. On PostgreSQL, all views use the options for prepared statements
that the documentation recommends; `--unprepared` measures without them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

if "--unprepared" in sys.argv:
    os.environ["BENCH_UNPREPARED"] = "1"
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.production_settings"

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_poketalk import conf  # noqa: E402
from django_poketalk.events import incoming  # noqa: E402
from django_poketalk.models import CallRequest  # noqa: E402
from django_poketalk.protocol import eventurl  # noqa: E402
from django_poketalk.protocol.codes import CallStatus  # noqa: E402
from django_poketalk.protocol.eventurl import Event  # noqa: E402

AT_ONCE, TICKS = 4, 20
SECOND = os.sysconf("SC_CLK_TCK")
VIEWS = {  # how the URL of an event becomes that of the view
    "event": ("poketalk/events/", "poketalk/events/"),
    "naive": ("poketalk/events/", "naive/"),
    "empty": ("poketalk/events/", "empty/"),
    "forged": ("/?", "!/?"),
    "update": ("poketalk/events/", "update/"),
    "statement": ("poketalk/events/", "statement/"),
}


@contextlib.contextmanager
def server() -> Iterator[tuple[int, int]]:
    """A web server; yields its port, and the id of the process that serves requests."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = (
            f"--threads={AT_ONCE}",
            f"--bind=fd://{listener.fileno()}",
            "--log-level=error",
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *arguments, "tests.benchmarks.event_server"],
            pass_fds=[listener.fileno()],
        )
        try:
            port = listener.getsockname()[1]
            load(port, [f"/empty/{each}/" for each in range(AT_ONCE)])  # until it serves
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            yield port, int(children.split()[0])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def load(port: int, urls: list[str]) -> None:
    """Request the URLs, each of `AT_ONCE` clients an equal share of them, on one connection."""

    def client(own: list[str]) -> None:
        with socket.create_connection(("127.0.0.1", port), 60) as connected:
            for url in own:
                connected.sendall(f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                answer = connected.recv(65536)
                assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 404")), answer

    share = len(urls) // AT_ONCE
    with ThreadPoolExecutor(AT_ONCE) as clients:
        list(clients.map(client, (urls[n * share : (n + 1) * share] for n in range(AT_ONCE))))


def event_urls(calls: int) -> list[str]:
    """The URLs of ticks of new calls."""
    CallRequest.objects.all().delete()
    urls: list[str] = []
    for _ in range(calls):
        call = CallRequest.objects.create(
            from_number="+442079460000",
            to_number="+442079460123",
            max_duration=10**6,
            expires_at=timezone.now(),
        )
        template = incoming.event_url(call).removeprefix(conf.settings.event_base_url)
        for tick in range(TICKS):
            event = Event(CallStatus.B_ANSWERED, call.webcallid, 60 * tick, Decimal("0.1") * tick)
            urls.append(eventurl.expand(template, event))
    return urls


def cpu(process: int) -> float:
    """The CPU time of this process, and of all connections to the database but ours, in ms."""
    processes = [process]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid != pg_backend_pid()"
            )
            processes += [pid for (pid,) in cursor.fetchall()]
    ticks = 0
    for pid in processes:
        with contextlib.suppress(FileNotFoundError):  # the database is on another machine
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(stat[11]) + int(stat[12])
    return 1000 * ticks / SECOND


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=12, help="calls of each client in a round")
    parser.add_argument("--unprepared", action="store_true")
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    versions = f"Django {django.__version__}, Python {platform.python_version()}"
    print(f"{connection.vendor}, {versions}, {os.cpu_count()} cores, {options.rounds} rounds")
    rates: dict[str, list[float]] = {name: [] for name in VIEWS}
    cpus: dict[str, list[float]] = {name: [] for name in VIEWS}
    with server() as (port, process):
        for turn in range(-1, options.rounds):
            for name, (before, after) in VIEWS.items():
                urls = [url.replace(before, after) for url in event_urls(AT_ONCE * options.calls)]
                begun, used = time.perf_counter(), cpu(process)
                load(port, urls)
                if turn >= 0:  # the first round connects to the database
                    rates[name].append(len(urls) / (time.perf_counter() - begun))
                    cpus[name].append((cpu(process) - used) / len(urls))
    rate = {name: statistics.median(found) for name, found in rates.items()}
    own = {name: statistics.median(found) for name, found in cpus.items()}
    for name, found in rates.items():
        span = f"({min(found):.0f} to {max(found):.0f})"
        print(f"{name:10} {rate[name]:6.0f}/s  {span:16} CPU time {own[name]:5.2f} ms")
    for name, floor, goal in (
        ("event", "naive", "2.5 or more"),
        ("event", "empty", "0.25 or more"),
        ("statement", "empty", "the most that event / empty can be"),
        ("event", "statement", "0.8 or more"),
        ("event", "update", "0.8 or more"),
        ("forged", "empty", "0.8 or more"),
    ):
        ratios = f"{rate[name] / rate[floor]:.2f}, by CPU time {own[floor] / own[name]:.2f}"
        print(f"{f'{name} / {floor}':18}  {ratios}   (goal: {goal})")


if __name__ == "__main__":
    sys.exit(main())
