"""The service's health: switches, queue, event deliveries and accounts with low funds. Each query
reads a bounded number of rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Count, F, Min

from django_poketalk.protocol import numbers

from .billing import ledger
from .conf import settings
from .models import (
    Account,
    Call,
    EventDelivery,
    Gateway,
    Switch,
)
from .models.gateway_states import GatewayHealth, health_of, with_health

LATEST_DELIVERIES = 500  # that are examined
FAILING_SHARE = 0.5  # of failures, from which on an endpoint is listed
MAX_LISTED = 50  # accounts and endpoints
ENOUGH_CALLS = 10  # an account that can pay for these is not listed
CHARGED_WITHIN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A customer's host, with figures about its latest events."""

    host: str
    events: int
    failures: int
    slowest: float  # seconds
    last_error: str


@dataclass(frozen=True, slots=True)
class Health:
    """The state at `now`. Ages are in seconds, or None if there is no such row."""

    now: datetime
    switches: list[Switch]
    queued: int
    oldest_queued: float | None
    live: int
    lapsed: int  # calls whose switch did not renew its lease
    ending: int  # calls that ended, with their final event pending
    unanswered: int  # calls whose final event is repeated
    last_event: datetime | None
    endpoints: list[Endpoint]  # failing ones
    low_funds: list[Account]  # those of `accounts_with_low_funds`
    gateways: list[GatewayHealth]  # active ones

    @property
    def ready(self) -> list[Switch]:
        """The switches that take calls."""
        return [switch for switch in self.switches if switch.is_ready(self.now)]

    @property
    def problems(self) -> list[str]:
        """The codes of the problems that keep calls from being served: `no_switch`, `no_gateway`,
        `queue_waits`, `leases_lapsed`.
        """
        conditions = {
            "no_switch": not self.ready,
            "no_gateway": all(each.is_up is False for each in self.gateways),
            "queue_waits": (self.oldest_queued or 0) > settings.queue_timeout / 2,
            "leases_lapsed": self.lapsed > 0,
        }
        return [code for code, is_met in conditions.items() if is_met]

    def as_json(self) -> dict[str, Any]:
        """The state for monitoring tools, without customers' names."""
        return {
            "ok": not self.problems,
            "problems": self.problems,
            "switches": [
                {
                    "name": switch.name,
                    "version": switch.version,
                    "alive": switch.is_alive(self.now),
                    "ready": switch.is_ready(self.now),
                    "problems": switch.problems,
                    "seen": switch.seen_at.isoformat(),
                    "live_calls": switch.live_calls,
                }
                for switch in self.switches
            ],
            "gateways": [
                {
                    "id": each.gateway.pk,
                    "name": each.gateway.name,
                    "up": each.is_up,
                    "since": each.since.isoformat() if each.since else None,
                    "problems": sorted({state.problem for state in each.down}),
                    "channels": each.channels,
                    "answer_rate": each.answer_rate,
                    "time_to_ring": each.time_to_ring,
                }
                for each in self.gateways
            ],
            "queued": self.queued,
            "oldest_queued_seconds": self.oldest_queued,
            "live": self.live,
            "leases_lapsed": self.lapsed,
            "ending": self.ending,
            "final_events_unanswered": self.unanswered,
            "last_event": self.last_event.isoformat() if self.last_event else None,
            "failing_endpoints": len(self.endpoints),
            "accounts_with_low_funds": len(self.low_funds),
        }


def current_health(now: datetime) -> Health:
    """The state of the service, in nine queries. `now` is the database's time."""
    queue = Call.objects.queued().aggregate(length=Count("pk"), oldest=Min("created_at"))
    oldest = queue["oldest"]
    active = Call.objects.filter(state=Call.State.ACTIVE)
    deliveries = latest_deliveries()
    return Health(
        now=now,
        switches=list(Switch.objects.all()),
        queued=queue["length"],
        oldest_queued=max(0.0, (now - oldest).total_seconds()) if oldest else None,
        live=active.count(),
        lapsed=Call.objects.abandoned(now).count(),
        ending=Call.objects.filter(state=Call.State.ENDING).count(),
        unanswered=Call.objects.filter(final_event_due_at__isnull=False).count(),
        last_event=deliveries[0].sent_at if deliveries else None,
        endpoints=failing_endpoints(deliveries),
        low_funds=accounts_with_low_funds(now),
        gateways=active_gateways(now),
    )


def active_gateways(now: datetime) -> list[GatewayHealth]:
    """The active gateways of active providers, by the providers' names and their own."""
    rows = Gateway.objects.filter(is_active=True, provider__is_active=True)
    named = rows.select_related("provider").order_by("provider__name", "name")
    return [health_of(gateway) for gateway in with_health(named, now)]


def latest_deliveries() -> list[Any]:
    """The latest requests to EventURLs, newest first, each with its `eventurl`."""
    return list(
        EventDelivery.objects.order_by("-id")
        .annotate(eventurl=F("call__eventurl"))
        .only("answer", "error", "seconds", "sent_at")[:LATEST_DELIVERIES]
    )


def failing_endpoints(deliveries: Iterable[Any]) -> list[Endpoint]:
    """The hosts that gave no response or a server error (5xx) to half of these events or more, by
    number of failures.
    """
    by_host: dict[str, list[Any]] = {}
    for delivery in deliveries:
        host = urlsplit(delivery.eventurl).hostname or ""
        by_host.setdefault(host, []).append(delivery)
    found = []
    for host, events in by_host.items():
        failed = [each for each in events if each.answer is None or each.answer >= 500]
        if failed and len(failed) / len(events) >= FAILING_SHARE:
            error = numbers.mask_in_records(failed[0].error) or f"HTTP {failed[0].answer}"
            slowest = max(each.seconds for each in events)
            found.append(Endpoint(host, len(events), len(failed), slowest, error))
    return sorted(found, key=lambda endpoint: (-endpoint.failures, endpoint.host))[:MAX_LISTED]


def accounts_with_low_funds(now: datetime) -> list[Account]:
    """Active accounts whose funds do not cover `ENOUGH_CALLS` calls at their `average_cost`; lowest
    funds first, with `funds_left`. An account that was charged nothing in the last `CHARGED_WITHIN`
    is not listed.
    """
    accounts = Account.objects.filter(
        is_active=True,
        provider__is_active=True,
        spent_on__gte=ledger.day_of(now - CHARGED_WITHIN),
    ).annotate(funds_left=F("balance") + F("credit_limit") - F("held"))
    low = accounts.filter(funds_left__lt=ENOUGH_CALLS * F("average_cost"))
    return list(low.order_by("funds_left", "pk")[:MAX_LISTED])
