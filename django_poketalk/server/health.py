"""How the service is: its switches, its queue, its events, and accounts that run dry. Queries and
plain values; each looks at a bounded number of rows.
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

LATEST = 500  # deliveries that are looked at
FAILING = 0.5  # share of these that may fail before an endpoint is named
MOST = 50  # accounts and endpoints that are named


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A customer's host, by its latest events."""

    host: str
    events: int
    failures: int
    slowest: float  # seconds
    last_error: str


@dataclass(frozen=True, slots=True)
class Health:
    """What was found at `now`. Ages are seconds; None where there is nothing to be old."""

    now: datetime
    switches: list[Switch]
    queued: int
    oldest_queued: float | None
    live: int
    lapsed: int  # calls whose switch has not renewed its lease
    ending: int  # calls that are over, their final event still to be sent
    last_event: datetime | None
    endpoints: list[Endpoint]  # those that fail
    poor: list[Account]  # those whose funds do not reach one more call of `HOLD` seconds
    gateways: int  # active ones

    @property
    def alive(self) -> list[Switch]:
        """The switches that were seen lately."""
        return [switch for switch in self.switches if switch.is_alive(self.now)]

    @property
    def problems(self) -> list[str]:
        """What keeps calls from being served, as codes: `no_switch`, `no_gateway`, `queue_waits`,
        `leases_lapsed`. Empty: none of it.
        """
        found = {
            "no_switch": not self.alive,
            "no_gateway": not self.gateways,
            "queue_waits": (self.oldest_queued or 0) > settings.queue_timeout / 2,
            "leases_lapsed": self.lapsed > 0,
        }
        return [code for code, is_so in found.items() if is_so]

    def as_json(self) -> dict[str, Any]:
        """The same for monitors. Names no customer."""
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
            "poor_accounts": len(self.poor),
        }


def look(now: datetime) -> Health:
    """How it is now: seven queries, however much there is."""
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
        endpoints=failing(deliveries),
        poor=poor_accounts(),
        gateways=Gateway.objects.filter(is_active=True, provider__is_active=True).count(),
    )


def failing(deliveries: Iterable[Any]) -> list[Endpoint]:
    """The hosts that gave no answer, or an error of their own (5xx), to half of these events or
    more; the worst first.
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
    return sorted(found, key=lambda endpoint: (-endpoint.failures, endpoint.host))[:MOST]


def poor_accounts() -> list[Account]:
    """Active accounts whose funds do not reach `HOLD` seconds at their provider's dearest rate on
    both legs, connect fee and first block included; the poorest first.
    """
    seconds = Greatest(F("rates__initial_increment"), settings.hold)
    price = F("rates__connect_fee") + F("rates__price_per_minute") * seconds / 60
    providers = ServiceProvider.objects.filter(is_active=True)
    dearest = providers.annotate(price=Max(price, output_field=DecimalField()))
    is_poor = Q(pk__in=[])
    for provider, leg in dearest.values_list("pk", "price"):
        is_poor |= Q(provider=provider, funds_left__lt=2 * (leg or Decimal(0)))
    funds = F("balance") + F("credit_limit") - F("held")
    accounts = Account.objects.filter(is_active=True).annotate(funds_left=funds)
    return list(accounts.filter(is_poor).order_by("funds_left", "pk")[:MOST])
