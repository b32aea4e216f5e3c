"""The cost of `bulk_sql`, compared with the ORM's updates.

    python -m tests.benchmarks.bulk_writes
    DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench python -m tests.benchmarks.bulk_writes

Updates `--rows` calls at once, as the switch does. Rounds are interleaved, in one transaction that
is rolled back. Times are the CPU time of this process, which limits a switch. Compare the
ratios between machines, not the times.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from django_poketalk.server.database import bulk_sql  # noqa: E402
from django_poketalk.server.models import Account, Call, ServiceProvider  # noqa: E402

CHANGES = {"status": 7, "duration": 60, "cost": Decimal("0.2")}


def updates(calls: list[Call]) -> dict[str, Callable[[], object]]:
    """The ways to update a call's row under its fence."""
    rows = Call.objects.filter(state="active")
    return {
        "bulk_sql": lambda: bulk_sql.execute(
            bulk_sql.updates(
                Call, ("id", "fence"), [(CHANGES, (call.pk, call.fence)) for call in calls]
            )
        ),
        "update": lambda: [
            rows.filter(pk=call.pk, fence=call.fence).update(**CHANGES) for call in calls
        ],
        "bulk_update": lambda: rows.bulk_update(  # ignores the fence
            [Call(pk=call.pk, **CHANGES) for call in calls], list(CHANGES)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    print(f"{connection.vendor}, Django {django.__version__}", end=", ")
    print(f"{options.rows} rows, {options.rounds} rounds")
    times: dict[str, list[float]] = defaultdict(list)
    with transaction.atomic():
        measured = updates(_make_calls(options.rows))
        for _round in range(options.rounds):
            for name, update in measured.items():
                begun = time.process_time()
                update()
                times[name].append(time.process_time() - begun)
        transaction.set_rollback(True)
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:12} {1000 * median:7.2f} ms")
    for name in ("update", "bulk_update"):
        ratio = medians[name] / medians["bulk_sql"]
        print(f"{name} / bulk_sql   {ratio:.1f}   (goal: 3.0 or more)")


def _make_calls(count: int) -> list[Call]:
    provider = ServiceProvider.objects.create(name="Benchmark of writes")
    account = Account.objects.create(name="Benchmark of writes", provider=provider)
    return [
        Call.objects.create(
            account=account,
            provider=provider,
            custom=str(number),
            from_number="442079460000",
            to_number="442079460123",
            max_duration=60,
            state="active",
        )
        for number in range(count)
    ]


if __name__ == "__main__":
    main()
