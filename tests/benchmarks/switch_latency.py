"""Measure the time from a request to the ringing of leg A, on an idle switch.

    DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench python -m tests.benchmarks.switch_latency
    ... [--calls 200] [--polling]

Requests are admitted and committed one by one. The time is measured from before the admission until
the switch, a separate process, dials through the gateway. With `--polling`, no notifications are
sent, as on databases without them. The database must exist; it is migrated, and the service's rows
are deleted.
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
    header,
    spread,
    switch,
)

# isort: split
from django_poketalk.server import admission
from django_poketalk.server.database import notify

APART = 0.1  # seconds between requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--polling", action="store_true", help="send no notifications")
    parser.add_argument("--log", default="/dev/null", help="file for the output of the switch")
    options = parser.parse_args()
    service = Service.make()
    key = service.open_to("127.0.0.1")
    form = admission.CallForm(key, AT_ONCE, SHORT, address="127.0.0.1")
    print(header(), flush=True)
    with switch(options.log):
        time.sleep(2)  # until it is listening and idle
        if options.polling:
            with mock.patch.object(notify, "_notify"):
                begun, admitted = place(form, options.calls)
        else:
            begun, admitted = place(form, options.calls)
        time.sleep(2)
        dialed = dict(Leg.objects.filter(side="A", attempt=1).values_list("call", "initiated_at"))
    waits = [(dialed[pk] - moment).total_seconds() for pk, moment in begun.items() if pk in dialed]
    print(f"dialed          {len(waits)} of {Call.objects.count()}")
    print(f"admission       {spread(admitted)}")
    print(f"request → dial  {spread(waits)} (goal on PostgreSQL: p50 below 25)")


def place(form: admission.CallForm, calls: int) -> tuple[dict[int, datetime], list[float]]:
    """When each call was requested, by the clock of this host, which must be that of the database;
    and the duration of each admission in seconds.
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
