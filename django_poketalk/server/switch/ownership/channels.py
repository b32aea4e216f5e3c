"""Channels of gateways, reserved for both legs of a call before anyone is rung.

The rows are counted over all switches. Whoever reserves channels locks the gateways until the
commit, so that the limits are exact. All functions are blocking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from django.db import connection, transaction
from django.db.models import Count

from django_poketalk.server.database import bulk_sql
from django_poketalk.server.database.clock import DatabaseNow
from django_poketalk.server.models import Call, Channel, Gateway, TestCall

from ..gateways.base import CallKey
from ..machine.facts_and_commands import Route, RoutePair, Side


def never_free(pair: RoutePair) -> bool:
    """Whether the two legs can never have a channel each: both need one of a gateway's only one."""
    a, b = pair
    return a.gateway == b.gateway and a.max_channels == 1


class FreeChannels:
    """The free channels of the limited gateways among these. Locks them until the commit."""

    def __init__(self, routes: Iterable[Route]) -> None:
        limits = {route.gateway: route.max_channels for route in routes if route.max_channels}
        self._free = _count_free(limits) if limits else {}

    def has(self, routes: Iterable[Route]) -> bool:
        """Whether there is a channel for each of these legs. Without a limit, there always is."""
        return all(self._free[gateway] >= number for gateway, number in self._needed(routes))

    def take(self, routes: Iterable[Route]) -> None:
        """Take a channel for each of these legs."""
        for gateway, number in self._needed(routes):
            self._free[gateway] -= number

    def _needed(self, routes: Iterable[Route]) -> Iterable[tuple[int, int]]:
        return Counter(each.gateway for each in routes if each.gateway in self._free).items()


def _count_free(limits: Mapping[int, int]) -> dict[int, int]:
    gateways = Gateway.objects.filter(pk__in=limits).order_by("pk")
    if connection.features.has_select_for_update:
        no_key = connection.features.has_select_for_no_key_update
        gateways = gateways.select_for_update(no_key=no_key)
    list(gateways.values_list("pk"))
    free = dict(limits)
    for rows in (Channel.objects.all(), TestCall.objects.filter(state=TestCall.State.ACTIVE)):
        used = rows.order_by().filter(gateway__in=limits).values_list("gateway")
        for gateway, number in used.annotate(number=Count("*")):
            free[gateway] -= number
    return free


def reserve(pairs: Mapping[int, RoutePair]) -> None:
    """Store the channels of these calls, by primary key."""
    bulk_sql.execute(
        bulk_sql.inserts(
            [
                Channel(call_id=call, side=side, gateway_id=route.gateway)
                for call, pair in pairs.items()
                for side, route in zip(Side, pair, strict=True)
                if route.max_channels
            ]
        )
    )


@transaction.atomic
def move(key: CallKey, pairs: Iterable[RoutePair]) -> RoutePair | None:
    """Reserve channels on the first of these pairs that has free ones, instead of those that the
    call has. Without any, it has none. None also if the call has ended or has another owner.
    """
    pairs = list(pairs)
    # Locks the row, so that the call does not end in between.
    ours = Call.objects.filter(pk=key.pk, fence=key.fence, state=Call.State.ACTIVE)
    if not ours.update(seen_at=DatabaseNow()):
        return None
    Channel.objects.filter(call=key.pk).delete()
    free = FreeChannels(route for pair in pairs for route in pair)
    pair = next((pair for pair in pairs if free.has(pair)), None)
    if pair is not None:
        reserve({key.pk: pair})
    return pair
