"""A switch's numbers in Prometheus' words. Needs prometheus-client (extra `metrics`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from django_poketalk.server.conf import settings

from .stats import BOUNDS, Histogram
from .watchdog import State

if TYPE_CHECKING:
    from ..engine import Engine


def registry(engine: Engine) -> CollectorRegistry:
    """What is to be told of this switch, and nothing of the process around it."""
    found = CollectorRegistry(auto_describe=False)
    found.register(SwitchCollector(engine))
    return found


class SwitchCollector(Collector):
    """Reads the switch's stats when it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        yield from self._gauges()
        yield from self._counters()
        stats = self._engine.stats
        yield _histogram("queue_wait", "From the request to the claim.", stats.queue_wait)
        yield _histogram("event_lag", "From what is told to its sending.", stats.event_lag)
        yield _histogram("event_delivery", "From sending to the answer.", stats.delivery)
        yield _histogram("write", "From a change of a call to its commit.", stats.write)

    def _gauges(self) -> Iterator[Metric]:
        engine = self._engine
        age = settings.lease - engine.lease.left
        yield _gauge("calls_live", "Calls in hand.", engine.calls)
        yield _gauge("lease_age_seconds", "Since the leases were renewed.", age)
        yield _gauge(
            "writes_waiting", "Changes that wait to be written.", engine.write_queue.waiting
        )
        yield _gauge("woken", "1: the database wakes it.", engine.listener.is_listening)
        states = GaugeMetricFamily("poketalk_switch_state", "1 for what it does.", labels=["state"])
        for state in State:
            states.add_metric([state], engine.state is state)
        yield states

    def _counters(self) -> Iterator[Metric]:
        stats = self._engine.stats
        yield CounterMetricFamily("poketalk_switch_claims", "Calls taken.", stats.claims)
        yield CounterMetricFamily("poketalk_switch_lost", "Calls lost.", stats.lost)
        yield CounterMetricFamily(
            "poketalk_switch_recovered", "Calls ended that were left behind.", stats.recovered
        )
        setups = CounterMetricFamily("poketalk_switch_setups", "Phones rung.", labels=["leg"])
        for side, number in stats.dials.items():
            setups.add_metric([side], number)
        yield setups
        ends = CounterMetricFamily(
            "poketalk_switch_ended", "Calls that are over.", labels=["status", "cause"]
        )
        for (status, cause), number in stats.ends.items():
            ends.add_metric([str(int(status)), cause], number)
        yield ends
        events = CounterMetricFamily("poketalk_switch_events", "Events sent.", labels=["answer"])
        for answer, number in stats.answers.items():
            events.add_metric([answer], number)
        yield events


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(f"poketalk_switch_{name}", says, float(value))


def _histogram(name: str, says: str, histogram: Histogram) -> Metric:
    bounds = [*map(str, BOUNDS), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    return HistogramMetricFamily(
        f"poketalk_switch_{name}_seconds", says, buckets=buckets, sum_value=histogram.sum
    )
