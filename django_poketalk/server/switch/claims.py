"""Whose a call is: claiming queued calls, keeping their leases, and taking over what a switch has
left behind. Every function is blocking and safe to run again.

Leases are measured by the database's clock alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Least

from .. import routing
from ..conf import settings
from ..databasetime import DatabaseNow, database_now
from ..models import Call, Gateway, LegABilling, Rate
from ..rating import FREE, Tariff
from . import buying
from .gateways.base import CallKey
from .messages import Cause, Plan, Route, Side

BATCH = 500  # rows named in one statement
OWNED = (Call.State.ACTIVE, Call.State.ENDING)
UNRATED = Tariff(FREE, FREE, 1, 1)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A call that is now ours. `refused`: it is to end at once, and nobody is rung. `bought` has
    what each gateway asks for a leg, where it has a rate for the number.
    """

    key: CallKey
    from_number: str
    to_number: str
    eventurl: str
    plan: Plan
    account: int = 0
    waited: float = 0.0  # seconds since it was asked for
    refused: Cause | None = None
    bought: Mapping[tuple[Side, int], Tariff] = field(default_factory=dict)

    def number(self, side: Side) -> str:
        """The number of a leg (digits)."""
        return self.from_number if side is Side.A else self.to_number

    def tariff(self, side: Side) -> Tariff:
        """The tariff of a leg."""
        return self.plan.tariff_a if side is Side.A else self.plan.tariff_b


def claim(switch: str, limit: int, kinds: Iterable[str], overdue: bool = False) -> list[Claimed]:
    """Take up to `limit` queued calls, the oldest first. Calls go out through gateways of `kinds`.
    With `overdue`, only such as have waited longer than `QUEUE_TIMEOUT`.

    Of several switches, one gets each call: rows that another one is just taking are passed over,
    or, where the database cannot do that, each is taken by a compare-and-set. All in one
    transaction: after an error, nobody has any of them.
    """
    waiting = _waiting()
    if overdue:
        waiting = waiting.filter(created_at__lt=database_now() - _patience())
    if connection.features.has_select_for_update_skip_locked:
        with transaction.atomic():
            calls = _take_together(switch, waiting, limit)
            return _claimed_all(calls, kinds)
    if not waiting.exists():  # before the only write lock that there is, is asked for
        return []
    with transaction.atomic():
        calls = [call for call in list(waiting[:limit]) if _take_one(switch, call)]
        return _claimed_all(calls, kinds)


def _waiting() -> Any:
    """The queue, each call with the database's time as it is read."""
    return Call.objects.queued().order_by("id").annotate(taken_at=DatabaseNow())


def _take_together(switch: str, waiting: Any, limit: int) -> list[Call]:
    no_key = connection.features.has_select_for_no_key_update
    calls = list(waiting.select_for_update(skip_locked=True, no_key=no_key)[:limit])
    if calls:
        Call.objects.filter(pk__in=[call.pk for call in calls]).update(**_taken(switch))
    return calls


def _take_one(switch: str, call: Call) -> bool:
    return bool(Call.objects.queued().filter(pk=call.pk, fence=call.fence).update(**_taken(switch)))


def take_over(switch: str, call: Call) -> CallKey | None:
    """Take a call whose switch has let its lease lapse; None when another switch was faster.

    Its last proof of life is no later than the lease: by then its switch had dropped it, whatever
    was written afterwards.
    """
    lapsed = abandoned().filter(pk=call.pk, fence=call.fence)
    if lapsed.update(
        seen_at=Least("seen_at", "lease_until"),  # first: MariaDB sees what stands before it
        switch=switch,
        fence=call.fence + 1,
        lease_until=_lease()["lease_until"],
    ):
        return CallKey(call.pk, call.fence + 1)
    return None


def abandoned() -> Any:
    """The calls whose lease has lapsed."""
    return Call.objects.abandoned(DatabaseNow())


def renew(switch: str, keys: Iterable[CallKey]) -> set[CallKey]:
    """Prove that this switch lives and keeps these calls; those that are lost by now: another's, or
    left to be. A lease that has lapsed stays so: its call was dropped, and is not to be paid for.
    """
    lost: set[CallKey] = set()
    remaining = sorted(keys, key=lambda key: key.pk)
    while remaining:
        batch, remaining = remaining[:BATCH], remaining[BATCH:]
        fences = _renew(switch, [key.pk for key in batch])
        lost |= {key for key in batch if fences.get(key.pk) != key.fence}
    return lost


@transaction.atomic
def _renew(switch: str, pks: list[int]) -> dict[int, int]:
    rows = Call.objects.filter(pk__in=pks)
    ours = rows.filter(switch=switch, state__in=OWNED, lease_until__gte=DatabaseNow())
    if connection.features.has_select_for_update:
        # In the order in which other writes lock them, so that none waits for another in a circle.
        no_key = connection.features.has_select_for_no_key_update
        locked = ours.select_for_update(no_key=no_key).order_by("pk")
        fences = dict(locked.values_list("pk", "fence"))
        if ours.update(**_lease()) == len(fences) == len(pks):
            return fences
    else:
        ours.update(**_lease())
    return dict(rows.exclude(pk__in=abandoned()).values_list("pk", "fence"))


def hang_ups_asked(switch: str) -> list[CallKey]:
    """Our live calls that somebody wants ended."""
    asked = Call.objects.filter(
        state=Call.State.ACTIVE, switch=switch, hangup_requested_at__isnull=False
    )
    return [CallKey(pk, fence) for pk, fence in asked.values_list("pk", "fence")]


def let_lapse(key: CallKey) -> None:
    """Give the call up, so that it is ended as an abandoned one without further delay."""
    ours = Call.objects.filter(pk=key.pk, fence=key.fence, state__in=OWNED)
    ours.update(lease_until=DatabaseNow() - timedelta(seconds=1))


def _taken(switch: str) -> dict[str, Any]:
    return {
        "state": Call.State.ACTIVE,
        "fence": F("fence") + 1,
        "switch": switch,
        **_lease(),
    }


def _lease() -> dict[str, Any]:
    until = DatabaseNow() + timedelta(seconds=settings.lease)
    return {"lease_until": until, "seen_at": DatabaseNow()}


def _patience() -> timedelta:
    return timedelta(seconds=settings.queue_timeout)


class _Gateways:
    """The active gateways of each provider, read once for all calls that are claimed together."""

    def __init__(self, kinds: Iterable[str]) -> None:
        # In any order: `routing` puts them into theirs.
        self._active = Gateway.objects.filter(is_active=True, kind__in=list(kinds)).order_by()
        self._of: dict[int, list[Gateway]] = {}

    def routes(self, provider: int, number: str) -> tuple[Route, ...]:
        if provider not in self._of:
            self._of[provider] = list(self._active.filter(provider=provider))
        return tuple(map(route, routing.gateways_for(number, self._of[provider])))


def routes(kinds: Iterable[str]) -> list[Route]:
    """All active gateways of these kinds."""
    return [route(row) for row in Gateway.objects.filter(is_active=True, kind__in=list(kinds))]


def route(gateway: Gateway) -> Route:
    """The gateway as the switch uses it."""
    return Route(gateway.pk, gateway.kind, gateway.ring_timeout, gateway.trunk)


def _claimed_all(calls: list[Call], kinds: Iterable[str]) -> list[Claimed]:
    if not calls:
        return []
    gateways = _Gateways(kinds)
    rates = Rate.objects.order_by().in_bulk(
        {pk for call in calls for pk in (call.rate_a_id, call.rate_b_id)}
    )
    routes = {call.pk: _routes(call, gateways) for call in calls}
    buy_rates = buying.BuyRates(
        {route.gateway for sides in routes.values() for ways in sides.values() for route in ways},
        {number for call in calls for number in (call.from_number, call.to_number)},
    )
    return [_claimed(call, routes[call.pk], rates, buy_rates) for call in calls]


def _routes(call: Call, gateways: _Gateways) -> dict[Side, tuple[Route, ...]]:
    return {
        side: gateways.routes(call.provider_id, number) for side, number in _numbers(call).items()
    }


def _numbers(call: Call) -> dict[Side, str]:
    return {Side.A: call.from_number, Side.B: call.to_number}


def _claimed(
    call: Any,
    routes: Mapping[Side, tuple[Route, ...]],
    rates: Mapping[int, Rate],
    buy_rates: buying.BuyRates,
) -> Claimed:
    """`call` as it was read before it was taken."""
    rate_a, rate_b = rates.get(call.rate_a_id), rates.get(call.rate_b_id)
    plan = Plan(
        webcallid=call.custom,
        tariff_a=rate_a.tariff if rate_a else UNRATED,
        tariff_b=rate_b.tariff if rate_b else UNRATED,
        routes_a=routes[Side.A],
        routes_b=routes[Side.B],
        max_duration=call.duration_cap or call.max_duration,
        hold=call.held,
        hold_slice=settings.hold,
        event_interval=settings.event_interval,
        granted=call.max_duration,
        a_free_until_connected=call.leg_a_billed == LegABilling.CONNECTED,
    )
    bought = {
        (side, route.gateway): tariff
        for side, number in _numbers(call).items()
        for route in routes[side]
        if (tariff := buy_rates.tariff(route.gateway, number))
    }
    waited = call.taken_at - call.created_at
    return Claimed(
        key=CallKey(call.pk, call.fence + 1),
        from_number=call.from_number,
        to_number=call.to_number,
        eventurl=call.eventurl,
        plan=plan,
        account=call.account_id,
        waited=max(0.0, waited.total_seconds()),
        refused=_refusal(call, waited, rated=rate_a is not None and rate_b is not None),
        bought=bought,
    )


def _refusal(call: Call, waited: timedelta, *, rated: bool) -> Cause | None:
    if call.hangup_requested_at is not None:
        return Cause.HANG_UP_REQUESTED
    if waited > _patience():
        return Cause.QUEUE_TIMEOUT
    return None if rated else Cause.NO_RATE
