"""Measure the import of a rate deck with as many rows as one may have.

    export DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench
    python example_project/manage.py migrate
    python -m tests.benchmarks.rate_decks [ROWS]

It creates a provider, imports a deck of new rates, changes each price, undoes that, and deletes the
provider. Times are CPU seconds of this process, and elapsed seconds. The floor is to read the same
file with the standard library, and to insert the rates with `bulk_create`.
"""

from __future__ import annotations

import csv
import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

sys.path.insert(0, str(Path(__file__).parents[2] / "example_project"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
os.environ.setdefault("DJANGO_SECRET_KEY", f"of this process alone: {os.urandom(32).hex()}")
django.setup()

from django.db import connection  # noqa: E402

from django_poketalk.server.billing.rate_decks import comparison, importing, reading  # noqa: E402
from django_poketalk.server.models import PriceList, Rate  # noqa: E402

HEADER = "prefix,destination,price_per_minute,connect_fee,initial_increment,subsequent_increment\n"


def deck(rows: int, factor: int = 1) -> bytes:
    """A deck of distinct prefixes, with 1,000 prices and 500 destinations."""
    lines = (
        f"44{number},Place {number % 500},0.0{(number % 1000 + 1000) * factor},0.01,60,6\n"
        for number in range(100_000, 100_000 + rows)
    )
    return (HEADER + "".join(lines)).encode()


def insert(owner: PriceList, data: bytes) -> None:
    """The floor: no checks, no comparison, no record of the import."""
    Rate.objects.bulk_create(
        (Rate(price_list=owner, **row) for row in csv.DictReader(io.StringIO(data.decode()))),
        batch_size=1000,
    )


def measure(name: str, work: Callable[[], Any]) -> float:
    """Run it, print its times, and return the CPU seconds."""
    cpu, start = time.process_time(), time.perf_counter()
    work()
    used = time.process_time() - cpu
    print(f"{name:28} {used:6.2f} s CPU {time.perf_counter() - start:7.2f} s", flush=True)
    return used


def main(rows: int = reading.MAX_ROWS) -> None:
    """Measure each step."""
    print(f"{connection.vendor}, {rows} rows")
    owner = PriceList.objects.create(name=f"Benchmark {time.time_ns()}")
    new, changed = deck(rows), deck(rows, factor=2)
    used: dict[str, float] = {}
    try:
        floor = measure("floor: insert", lambda: insert(owner, new))
        owner.rates.all().delete()
        for name, data in (("new", new), ("changed", changed)):
            used[f"preview, all {name}"] = measure(
                f"preview, all {name}",
                lambda data=data: comparison.compare(owner, reading.read(data)).digest,
            )
            used[f"import, all {name}"] = measure(
                f"import, all {name}",
                lambda data=data: importing.run(owner, reading.read(data)),
            )
        record = importing.last_import(owner)
        assert record is not None
        measure("undo", lambda: importing.undo(owner, record))
        measure("preview, all unchanged", lambda: comparison.compare(owner, reading.read(new)))
    finally:
        owner.delete()
    for name, seconds in used.items():
        print(f"{name} / floor   {seconds / floor:.1f}")
    print(f"slowest step   {max(used.values()):.1f} s CPU   (goal: 3 s or less, of 50,000 rows)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
