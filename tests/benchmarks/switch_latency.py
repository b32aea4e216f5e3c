"""How long it takes from a request to the ringing of leg A, at a switch that is at rest.

    DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench python -m tests.benchmarks.switch_latency
    ... [--calls 200] [--asleep]

Requests are admitted one by one, by the rules and with their commit; the clock runs from before the
admission to the moment at which the switch, a process of its own, has the gateway ring. With
`--asleep`, nobody wakes the switch, as on databases that cannot. The database must exist; it is
migrated, and emptied of the service's rows.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime
from unittest import mock

from django.utils import timezone

from .measured_switch import (
    AT_ONCE,
    SHORT,
    Call,
    Leg,
    Service,
    admission,
    header,
    spread,
    switch,
    wakening,
)

APART = 0.1  # seconds between requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--asleep", action="store_true", help="nobody wakes the switch")
    parser.add_argument("--log", default="/dev/null", help="where the switch's output goes")
    options = parser.parse_args()
    service = Service.make()
    key = service.open_to("127.0.0.1")
    form = admission.CallForm(key, AT_ONCE, SHORT, address="127.0.0.1")
    print(header(), flush=True)
    with switch(options.log):
        time.sleep(2)  # until it listens, and rests
        if options.asleep:
            with mock.patch.object(wakening, "_notify"):
                begun, admitted = place(form, options.calls)
        else:
            begun, admitted = place(form, options.calls)
        time.sleep(2)
        rung = dict(Leg.objects.filter(side="A", attempt=1).values_list("call", "initiated_at"))
    waits = [(rung[pk] - moment).total_seconds() for pk, moment in begun.items() if pk in rung]
    print(f"rung            {len(waits)} of {Call.objects.count()}")
    print(f"admission       {spread(admitted)}")
    print(f"request → ring  {spread(waits)} (to reach on PostgreSQL: p50 below 25)")


def place(form: admission.CallForm, calls: int) -> tuple[dict[int, datetime], list[float]]:
    """When each call was form for, by the clock that the database has too; and how long each
    admission took, in seconds.
    """
    begun: dict[int, datetime] = {}
    took = []
    for _ in range(calls):
        moment, started = timezone.now(), time.perf_counter()
        match admission.admit(form):
            case admission.Admitted(call):
                begun[call.pk] = moment
            case refused:
                raise SystemExit(f"Not admitted: {refused}")
        took.append(time.perf_counter() - started)
        time.sleep(APART)
    return begun, took


if __name__ == "__main__":
    sys.exit(main())
