"""Run all benchmarks, small, and print one table of what has a goal: `tox run -e bench`.

    DATABASE_URL=postgres://postgres@127.0.0.1:5432/test python -m tests.benchmarks [NAME …]

Each program runs in a process of its own, on a database that is created for it and dropped: its
name is `bench_`, the name in `DATABASE_URL` and a number; without this variable, a file of SQLite.
What requires PostgreSQL, SIPp or Asterisk is skipped without it. A figure that misses its goal is
not an error: other work on the machine disturbs it. A program that fails is one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.needs import NEEDS
from tests.server.switch.gateways.asterisk.real_asterisk import FOLDER

ROOT = Path(__file__).parents[2]
LONGEST = 300  # seconds of one program
GOAL = re.compile(
    r"^(?P<what>\S.*?) {2,}(?P<found>\S.*?) +\(goal(?:: )?(?P<goal>.*)\)$", re.MULTILINE
)
MANAGE = ("example_project/manage.py",)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A program of this package, with the arguments that make it small.

    `on_postgresql`: it requires PostgreSQL. `first` are commands that fill its database.
    """

    arguments: tuple[str, ...] = ()
    on_postgresql: bool = False
    first: tuple[tuple[str, ...], ...] = ()

    def missing(self, vendor: str) -> str:
        """Why it cannot run here, or ""."""
        return "requires PostgreSQL" if self.on_postgresql and vendor != "postgres" else ""


@dataclass(frozen=True, slots=True)
class SipBenchmark(Benchmark):
    """One with SIPp's phones; `asterisk`: and with Asterisk."""

    asterisk: bool = False

    def missing(self, vendor: str) -> str:
        if self.asterisk and not FOLDER.exists():
            return "requires Asterisk"
        return Benchmark.missing(self, vendor) or NEEDS["sipp"].missing()


BENCHMARKS: dict[str, Benchmark] = {
    "event_view": Benchmark(("--calls", "3")),
    "placing": Benchmark(),
    "admin_pages": Benchmark(
        ("--rounds", "3"),
        first=(
            (*MANAGE, "migrate", "--verbosity=0"),
            (*MANAGE, "seed_calls", "20000", "--live=5", "--without-events", "--verbosity=0"),
            (*MANAGE, "poketalk_totals", "--verbosity=0"),
        ),
    ),
    "service_pages": Benchmark(
        ("--calls", "20000", "--rounds", "3"),
        on_postgresql=True,
        first=((*MANAGE, "migrate", "--verbosity=0"),),
    ),
    "page_numbers": Benchmark(("--rounds", "1")),
    "rate_decks": Benchmark(("5000",), first=((*MANAGE, "migrate", "--verbosity=0"),)),
    "bulk_writes": Benchmark(("--rounds", "50")),
    "switch_latency": Benchmark(("--calls", "50"), on_postgresql=True),
    "switch_calls": Benchmark(("--calls", "200", "--rate", "20"), on_postgresql=True),
    "sip_calls": SipBenchmark(("--rate", "20", "--seconds", "10", "--talk", "3"), True),
    "ari_calls": SipBenchmark(
        ("--rates", "5", "--seconds", "10", "--talk", "3", "--idle", "5"), True, asterisk=True
    ),
}


@contextlib.contextmanager
def database() -> Iterator[str]:
    """An empty database; yields its URL."""
    url = os.environ.get("DATABASE_URL", "sqlite://")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if urlsplit(url).scheme.startswith("sqlite"):
            yield f"sqlite:///{folder}/bench.sqlite3"
            return
        parts = urlsplit(url)
        name = f"bench_{parts.path.removeprefix('/')}_{os.getpid()}"  # there is none yet
        _run_sql(url, f"CREATE DATABASE {name}")
        try:
            yield parts._replace(path=f"/{name}").geturl()
        finally:
            _run_sql(url, f"DROP DATABASE {name}")


def _run_sql(url: str, *statements: str) -> None:
    """Run these statements beside the databases, as Django's tests do."""
    program = (
        "import sys, django; django.setup()\n"
        "from django.db import connection\n"
        "with connection._nodb_cursor() as cursor:\n"
        "    for statement in sys.argv[1:]: cursor.execute(statement)\n"
    )
    environment = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run(
        [sys.executable, "-c", program, *statements],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
    )


def run(name: str, benchmark: Benchmark) -> str:
    """The output of a benchmark. Raises `CalledProcessError` or `TimeoutExpired`."""
    with database() as url:
        environment = {**os.environ, "DATABASE_URL": url}
        for command in benchmark.first:
            subprocess.run(
                [sys.executable, *command], cwd=ROOT, env=environment, check=True, timeout=LONGEST
            )
        return subprocess.run(
            [sys.executable, "-m", f"tests.benchmarks.{name}", *benchmark.arguments],
            cwd=ROOT,
            env=environment,
            check=True,
            timeout=LONGEST,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME")
    names = parser.parse_args().names or [*BENCHMARKS]
    vendor = urlsplit(os.environ.get("DATABASE_URL", "sqlite://")).scheme
    lines, failed = [("benchmark", "what", "measured", "goal")], 0
    for name in names:
        if reason := BENCHMARKS[name].missing(vendor):
            lines.append((name, reason, "–", ""))
            continue
        begun = time.monotonic()
        try:
            output = run(name, BENCHMARKS[name])
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"{name}: {error}\n{error.stdout or ''}", file=sys.stderr)
            lines.append((name, "failed", "–", ""))
            failed += 1
            continue
        print(f"--- {name}, {time.monotonic() - begun:.0f} s\n{output}", flush=True)
        lines += [(name, *each.groups()) for each in GOAL.finditer(output)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
