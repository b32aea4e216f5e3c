"""A switch's numbers as Prometheus metrics. Needs prometheus-client (extra `metrics`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from django_poketalk.server.conf import settings

from .gateway_states import GatewayView
from .snapshot import Snapshot, State
from .stats import BOUNDS, Histogram


def exposition(now: Snapshot) -> bytes:
    """The metrics of this switch in Prometheus' text format, without those of the process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SwitchCollector(now))
    return generate_latest(registry)


class _SwitchCollector(Collector):
    def __init__(self, now: Snapshot) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        now, stats = self._now, self._now.stats
        lease_age = settings.lease - now.lease_left
        yield _gauge("calls_live", "Calls in progress.", now.calls)
        yield _gauge("lease_age_seconds", "Time since the leases were renewed.", lease_age)
        yield _gauge("writes_waiting", "Call changes waiting to be written.", now.writes_waiting)
        yield _gauge("listening", "1 if the database notifies the switch.", now.listening)
        states = [([state.value], float(now.state is state)) for state in State]
        yield _labeled(GaugeMetricFamily, "state", "1 for the current state.", ["state"], states)
        yield _counter("claims", "Calls claimed.", stats.claims)
        yield _counter("lost", "Calls lost to other switches or to errors.", stats.lost)
        yield _counter("recovered", "Abandoned calls ended.", stats.recovered)
        dialed = (([side.value], number) for side, number in stats.dialed.items())
        yield _labeled(CounterMetricFamily, "setups", "Legs dialed.", ["leg"], dialed)
        ended = (([str(int(status)), cause], n) for (status, cause), n in stats.ended.items())
        yield _labeled(CounterMetricFamily, "ended", "Calls ended.", ["status", "cause"], ended)
        events = (([answer], number) for answer, number in stats.answers.items())
        yield _labeled(CounterMetricFamily, "events", "Events sent.", ["answer"], events)
        yield from _gateways(now.gateways)
        yield _histogram("queue_wait", "From the request to the claim.", stats.queue_wait)
        yield _histogram("event_lag", "From an event to its sending.", stats.event_lag)
        yield _histogram("event_delivery", "From sending to the answer.", stats.delivery)
        yield _histogram("write", "From a change of a call to its commit.", stats.write)


def _gateways(gateways: Iterable[GatewayView]) -> Iterator[Metric]:
    """The gateways by name; the counts are of the last hour, so that they are gauges."""
    figures: dict[str, tuple[str, Callable[[GatewayView], float]]] = {
        "up": ("1 if calls can be made through the gateway.", lambda each: each.is_up),
        "channels": ("Channels that this switch's calls use.", lambda each: each.channels),
        "legs": ("Legs that ended in the last hour.", lambda each: each.last_hour.legs),
        "answered": ("Those that were answered.", lambda each: each.last_hour.answered),
        "rang": ("Those that rang.", lambda each: each.last_hour.rang),
        "ring_seconds": (
            "Seconds from dialing to ringing, in all, of those that rang.",
            lambda each: each.last_hour.seconds_to_ring,
        ),
    }
    gateways = list(gateways)
    for name, (help_text, value) in figures.items():
        values = [([each.provider, each.name], float(value(each))) for each in gateways]
        labels = ["provider", "gateway"]
        yield _labeled(GaugeMetricFamily, f"gateway_{name}", help_text, labels, values)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"poketalk_switch_{name}", help_text, float(value))


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"poketalk_switch_{name}", help_text, value)


def _labeled(
    family: type[CounterMetricFamily] | type[GaugeMetricFamily],
    name: str,
    help_text: str,
    labels: list[str],
    values: Iterable[tuple[Sequence[str], float]],
) -> Metric:
    metric = family(f"poketalk_switch_{name}", help_text, labels=labels)
    for label_values, value in values:
        metric.add_metric(label_values, value)
    return metric


def _histogram(name: str, help_text: str, histogram: Histogram) -> Metric:
    bounds = [*map(str, BOUNDS), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    return HistogramMetricFamily(
        f"poketalk_switch_{name}_seconds", help_text, buckets=buckets, sum_value=histogram.sum
    )
