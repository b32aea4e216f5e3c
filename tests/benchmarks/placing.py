"""Measure what a call costs from its request to the answer, compared with a bare loop, and
what the caps on calls add to that.

    DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench python -m tests.benchmarks.placing
    ... [--unprepared]

Runs on an existing database, which it migrates, with a service in a process of its own that accepts
all calls. It deletes all calls. Rounds are interleaved. The CPU time is that of this process and,
on PostgreSQL on this machine, of its database connection. Compare the ratios between machines, not
the times; on a machine with other work, those of the CPU time. On PostgreSQL, all use the options
for prepared statements that the documentation recommends; `--unprepared` measures without them.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import django

if "--unprepared" in sys.argv:
    os.environ["BENCH_UNPREPARED"] = "1"
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.production_settings"
django.setup()

import requests  # noqa: E402
from django.conf import settings as project  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_poketalk.calls import placing, requesting, task_publisher  # noqa: E402
from django_poketalk.models import CallRequest, Placement  # noqa: E402

CALLS, ROUNDS, EARLIER, USERS = 10, 40, 20_000, 200
MANY = 10**6  # no cap is reached
NO_CAPS: dict[str, Any] = dict.fromkeys(
    (
        *("LIVE_CALLS_PER_USER", "CALLS_PER_HOUR_PER_USER", "SPEND_PER_DAY_PER_USER"),
        *("CALLS_PER_HOUR_PER_CALLEE", "CALLS_PER_HOUR_PER_CALLER_PHONE"),
        *("LIVE_CALLS", "CALLS_PER_HOUR", "SPEND_PER_DAY"),
    )
)
BY_DEFAULT = (
    *("LIVE_CALLS_PER_USER", "CALLS_PER_HOUR_PER_USER"),
    *("CALLS_PER_HOUR_PER_CALLEE", "CALLS_PER_HOUR_PER_CALLER_PHONE"),
)
CAPS: dict[str, dict[str, Any]] = {
    "no caps": NO_CAPS,
    "default caps": NO_CAPS | dict.fromkeys(BY_DEFAULT, MANY),
    "all caps": dict.fromkeys(NO_CAPS, MANY),
}


class Service(BaseHTTPRequestHandler):
    """Accepts all calls."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"
        self.wfile.write(f"{head}00".encode())

    def log_message(self, *_args: Any) -> None:
        """Nothing."""


def serve(port: Connection) -> None:
    service = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    port.send(service.server_port)
    service.serve_forever()


def cpu() -> float:
    """The CPU time that calls have taken so far, in ms."""
    mine = time.process_time() * 1000
    if connection.vendor != "postgresql":
        return mine
    backend = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    return mine + (int(backend.read_text().split()[0]) / 1e6 if backend.exists() else 0)


def statements(place: Callable[[int], None], turn: int) -> int:
    """How many statements a call takes, BEGIN and COMMIT included."""
    with CaptureQueriesContext(connection) as captured:
        place(turn)
    return len(captured)


def seed() -> list[User]:
    """Users with calls of the last two days, all over."""
    CallRequest.objects.all().delete()
    User.objects.filter(username__startswith="benchmark").delete()
    users = User.objects.bulk_create(User(username=f"benchmark{n}") for n in range(USERS))
    now = timezone.now()
    CallRequest.objects.bulk_create(
        (
            CallRequest(
                from_number=f"+44207946{turn % 1000:04}",
                to_number=f"+44161496{turn % 9000:04}",
                user=users[turn % USERS],
                max_duration=3600,
                created_at=at,
                not_before=at,
                rings_at=at,
                expires_at=at,
                ended_at=at,
                placement=Placement.ACCEPTED,
                cost=Decimal("0.1"),
            )
            for turn in range(EARLIER)
            for at in [now - timedelta(seconds=8 * turn)]
        ),
        batch_size=1000,
    )
    without_deleted = "VACUUM " if connection.vendor == "postgresql" else ""
    connection.cursor().execute(f"{without_deleted}ANALYZE")
    return users


def bare(url: str, users: list[User]) -> Callable[[int], None]:
    """Insert a row, claim it, POST, and store the answer."""
    session = requests.Session()

    def place(turn: int) -> None:
        now = timezone.now()
        call = CallRequest.objects.create(
            from_number=f"+44207946{turn % 1000:04}",
            to_number=f"+44161496{turn % 9000:04}",
            user=users[turn % USERS],
            max_duration=3600,
            expires_at=now + timedelta(minutes=2),
        )
        queued = CallRequest.objects.filter(pk=call.pk, placement=Placement.QUEUED)
        assert queued.update(placement=Placement.SENDING, sent_at=now)
        form = {"from": call.from_number, "to": call.to_number, "custom": call.webcallid}
        response = session.post(url, form, timeout=10)
        sending = CallRequest.objects.filter(pk=call.pk, placement=Placement.SENDING)
        assert sending.update(placement=Placement.ACCEPTED, response_code=response.text)

    return place


def ours(users: list[User]) -> Callable[[int], None]:
    """`request_call`, and what the worker does with it."""

    def place(turn: int) -> None:
        call = requesting.request_call(
            from_number=f"+44207946{turn % 1000:04}",
            to_number=f"+44161496{turn % 9000:04}",
            user=users[turn % USERS],
        )
        placing.place(call.pk)

    return place


def main() -> None:
    port, of_service = multiprocessing.Pipe()
    service = multiprocessing.Process(target=serve, args=(of_service,), daemon=True)
    service.start()
    url = f"http://127.0.0.1:{port.recv()}/index.php/api/click2call"
    task_publisher.wake = lambda pk, delay=0: None
    call_command("migrate", verbosity=0)
    users = seed()
    versions = f"Django {django.__version__}, Python {platform.python_version()}"
    print(f"{connection.vendor}, {versions}, {os.cpu_count()} cores, {ROUNDS} rounds", flush=True)
    backend = {
        **project.POKETALK,
        "BACKEND": "django_poketalk.backends.click2call.Click2CallBackend",
        "URL": url,
    }
    runs = {"bare loop": (bare(url, users), NO_CAPS)}
    runs |= {name: (ours(users), caps) for name, caps in CAPS.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    cpu_times: dict[str, list[float]] = {name: [] for name in runs}
    counts: dict[str, int] = {}
    turn = 0
    for _round in range(ROUNDS):
        for name, (place, caps) in runs.items():
            project.POKETALK = {**backend, **caps}
            before = cpu()
            for _call in range(CALLS):
                turn += 1
                started = time.perf_counter()
                place(turn)
                times[name].append((time.perf_counter() - started) * 1000)
            cpu_times[name].append((cpu() - before) / CALLS)
            turn += 1
            counts[name] = statements(place, turn)
            CallRequest.objects.filter(ended_at=None).update(ended_at=timezone.now())
    made = CallRequest.objects.filter(placement=Placement.ACCEPTED).count()
    assert made == EARLIER + turn, "a call was not accepted"
    medians = {name: statistics.median(found) for name, found in times.items()}
    cpus = {name: statistics.median(found) for name, found in cpu_times.items()}
    print("              statements   time                 CPU time")
    for name, count in counts.items():
        wall = f"{medians[name]:6.2f} ms {medians[name] / medians['bare loop']:5.2f} ×"
        own = f"{cpus[name]:6.2f} ms {cpus[name] / cpus['bare loop']:5.2f} × the bare loop"
        print(f"{name:13} {count:10}   {wall}   {own}")
    for name in ("no caps", "default caps"):
        share, own = (found["bare loop"] / found[name] for found in (medians, cpus))
        print(f"bare loop / {name:12}   {share:.2f}, CPU time {own:.2f}   (goal: 0.5 or more)")
    for name in ("default caps", "all caps"):
        more, own = (found[name] / found["no caps"] - 1 for found in (medians, cpus))
        print(f"{name} / no caps   {more:+.0%}, CPU time {own:+.0%}   (goal: +10 % or less)")


if __name__ == "__main__":
    sys.exit(main())
