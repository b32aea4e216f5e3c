"""The service's health: switches, queue, event deliveries and accounts with low funds. Each query
reads a bounded number of rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.db.models import DecimalField, F, Max, Q
from django.db.models.functions import Greatest

from .conf import settings
from .models import Account, Call, EventDelivery, Gateway, ServiceProvider, Switch

LATEST = 500  # deliveries that are examined
FAILING = 0.5  # share of failures from which an endpoint is listed
MAX_LISTED = 50  # accounts and endpoints


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
    last_event: datetime | None
    endpoints: list[Endpoint]  # failing ones
    low_funds: list[Account]  # accounts with funds for less than one call of `HOLD` seconds
    gateways: int  # active ones

    @property
    def alive(self) -> list[Switch]:
        """The switches with a recent heartbeat."""
        return [switch for switch in self.switches if switch.is_alive(self.now)]

    @property
    def problems(self) -> list[str]:
        """The codes of the problems that keep calls from being served: `no_switch`, `no_gateway`,
        `queue_waits`, `leases_lapsed`.
        """
        conditions = {
            "no_switch": not self.alive,
            "no_gateway": not self.gateways,
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
                    "seen": switch.seen_at.isoformat(),
                    "live_calls": switch.live_calls,
                }
                for switch in self.switches
            ],
            "queued": self.queued,
            "oldest_queued_seconds": self.oldest_queued,
            "live": self.live,
            "leases_lapsed": self.lapsed,
            "ending": self.ending,
            "last_event": self.last_event.isoformat() if self.last_event else None,
            "failing_endpoints": len(self.endpoints),
            "accounts_with_low_funds": len(self.low_funds),
        }


def current_health(now: datetime) -> Health:
    """The state of the service, in seven queries. `now` is the database's time."""
    queued = Call.objects.queued().order_by("id")
    oldest = queued.values_list("created_at", flat=True).first()
    active = Call.objects.filter(state=Call.State.ACTIVE)
    deliveries = list(
        EventDelivery.objects.order_by("-id")
        .annotate(eventurl=F("call__eventurl"))
        .only("answer", "error", "seconds", "sent_at")[:LATEST]
    )
    return Health(
        now=now,
        switches=list(Switch.objects.all()),
        queued=queued.count() if oldest else 0,
        oldest_queued=max(0.0, (now - oldest).total_seconds()) if oldest else None,
        live=active.count(),
        lapsed=Call.objects.abandoned(now).count(),
        ending=Call.objects.filter(state=Call.State.ENDING).count(),
        last_event=deliveries[0].sent_at if deliveries else None,
        endpoints=failing_endpoints(deliveries),
        low_funds=accounts_with_low_funds(),
        gateways=Gateway.objects.filter(is_active=True, provider__is_active=True).count(),
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
        if failed and len(failed) / len(events) >= FAILING:
            error = failed[0].error or f"HTTP {failed[0].answer}"
            slowest = max(each.seconds for each in events)
            found.append(Endpoint(host, len(events), len(failed), slowest, error))
    return sorted(found, key=lambda endpoint: (-endpoint.failures, endpoint.host))[:MAX_LISTED]


def accounts_with_low_funds() -> list[Account]:
    """Active accounts whose funds do not cover a call of `HOLD` seconds at their provider's highest
    rate on both legs, with connect fee and initial increment; lowest funds first.
    """
    seconds = Greatest(F("rates__initial_increment"), settings.hold)
    price = F("rates__connect_fee") + F("rates__price_per_minute") * seconds / 60
    providers = ServiceProvider.objects.filter(is_active=True)
    highest = providers.annotate(price=Max(price, output_field=DecimalField()))
    is_low = Q(pk__in=[])
    for provider, leg in highest.values_list("pk", "price"):
        is_low |= Q(provider=provider, funds_left__lt=2 * (leg or Decimal(0)))
    funds = F("balance") + F("credit_limit") - F("held")
    accounts = Account.objects.filter(is_active=True).annotate(funds_left=funds)
    return list(accounts.filter(is_low).order_by("funds_left", "pk")[:MAX_LISTED])
