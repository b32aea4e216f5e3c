"""Measure simulated calls: CPU time per call, and the number of calls that fit.

    DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench python -m tests.benchmarks.switch_calls
    ... [--calls 600] [--rate 45] [--held 0]

Calls between simulated phones, each with about eight seconds and five events, are queued at a
steady rate for a switch in a separate process. PostgreSQL and the endpoint share its cores. With
`--held`, this many calls are then connected and held for two minutes. The database must exist; it
is migrated, and the service's rows are deleted. Times are read from the rows, and start at the
request.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter

from .measured_switch import (
    AT_ONCE,
    SHORT,
    Call,
    EventDelivery,
    Leg,
    Measured,
    Service,
    endpoint,
    header,
    spread,
    switch,
)

BATCHES = 20  # per second
LONGEST = 120.0  # seconds to wait for calls to be connected or to end
INTERVAL = 60.0  # seconds between ticks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--rate", type=float, default=45.0, help="calls per second")
    parser.add_argument("--held", type=int, default=0, help="number of calls to hold")
    parser.add_argument("--log", default="/dev/null", help="file for the output of the switch")
    options = parser.parse_args()
    service = Service.make()
    print(header(), flush=True)
    with endpoint() as service.eventurl, switch(options.log) as measured:
        set_up(service, measured, options.calls, options.rate)
        if options.held:
            hold(service, measured, options.held, options.rate)


def load(service: Service, calls: int, rate: float, to: str) -> None:
    """Queue calls at a steady rate."""
    begun, queued = time.monotonic(), 0
    while queued < calls:
        due = min(calls, int((time.monotonic() - begun) * rate) + 1)
        if due > queued:
            service.queue(due - queued, AT_ONCE, to)
            queued = due
        time.sleep(1 / BATCHES)


def set_up(service: Service, measured: Measured, calls: int, rate: float) -> None:
    """Measure short calls."""
    before, begun = measured.cpu(), time.monotonic()
    load(service, calls, rate, SHORT)
    loaded = time.monotonic() - begun
    deadline = time.monotonic() + LONGEST
    while Call.objects.exclude(state="ended").exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    took, cpu = time.monotonic() - begun, measured.cpu() - before
    ended = Counter(Call.objects.values_list("status", "hangup_cause"))
    completed = ended.pop((8, "normal"), 0)
    print(f"calls           {calls} in {loaded:.1f} s: {calls / loaded:.1f} setups/s")
    print(f"completed       {completed}; others: {dict(ended) or 'none'}")
    print(f"CPU per call    {1000 * cpu / calls:.1f} ms (goal: 16 or less)")
    print(f"CPU share       {cpu / took:.2f} of a core; RSS {measured.rss():.0f} MB")
    print(f"request → dial  {spread(dialed())}")
    print(f"event lag       {spread(lags())}", flush=True)


def dialed() -> list[float]:
    """Seconds from each request to the dialing of leg A."""
    rows = Leg.objects.filter(side="A", attempt=1).values_list("initiated_at", "call__created_at")
    return [(dialed - requested).total_seconds() for dialed, requested in rows]


def lags() -> list[float]:
    """Seconds from B's answer to its event, which is sent after the write."""
    answered = dict(Leg.objects.filter(side="B").values_list("call", "answered_at"))
    sent: dict[int, float] = {}
    rows = EventDelivery.objects.filter(status=7).order_by("-sequence")
    for call, at in rows.values_list("call", "sent_at"):
        if moment := answered.get(call):
            sent[call] = (at - moment).total_seconds()
    return list(sent.values())


def hold(service: Service, measured: Measured, held: int, rate: float) -> None:
    """Measure held calls."""
    Call.objects.all().update(custom="before")
    before = measured.rss()
    load(service, held, rate, AT_ONCE)
    live = Call.objects.filter(state="active", status=7)
    deadline = time.monotonic() + LONGEST
    while live.count() < held and time.monotonic() < deadline:
        time.sleep(0.5)
    print(f"held            {live.count()} of {held}", flush=True)
    begun, cpu = time.monotonic(), measured.cpu()
    while time.monotonic() - begun < 2 * INTERVAL:
        time.sleep(1)
    share = (measured.cpu() - cpu) / (time.monotonic() - begun)
    print(f"still live      {live.count()} after {2 * INTERVAL:.0f} s")
    print(
        f"RSS             {measured.rss():.0f} MB, {before:.0f} MB of it before (goal: 600 or less)"
    )
    print(f"CPU share       {share:.2f} of a core")
    print(f"tick delay      {spread(late())} (goal: 1000 or less)", flush=True)


def late() -> list[float]:
    """The delays of ticks in seconds."""
    answered = dict(
        Leg.objects.filter(side="A", call__custom="benchmark").values_list("call", "answered_at")
    )
    events = EventDelivery.objects.filter(call__custom="benchmark", duration__gte=INTERVAL)
    return [
        (sent - answered[call]).total_seconds() - duration // INTERVAL * INTERVAL
        for call, duration, sent in events.values_list("call", "duration", "sent_at")
    ]


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
