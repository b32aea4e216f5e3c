"""Ownership of calls: claiming queued calls, renewing their leases, and taking over abandoned ones.
All functions are blocking and idempotent. Leases are measured by the database's clock only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Least

from django_poketalk.server.conf import settings
from django_poketalk.server.database import bulk_sql
from django_poketalk.server.database.clock import DatabaseNow, database_now
from django_poketalk.server.models import Call
from django_poketalk.shared.compiled import CompiledQuery

from ..gateways.base import CallKey
from ..monitoring.gateway_states import GatewayAvailability
from . import channels, plan
from .catalog import Catalog
from .plan import ClaimedCall, QueuedCall

Place = tuple[int, int]  # in the queue: a call's turn and primary key
HEAD: Place = (-1, 0)

BATCH = 500  # primary keys in one statement


@dataclass(frozen=True, slots=True)
class Claims:
    """The `calls` that a switch has claimed. `some_wait`: others stay queued, for want of a gateway
    or a channel. With `more`, further calls may be claimed at once. `last`: the place in the queue
    of the last call looked at; None at the end of the queue.
    """

    calls: list[ClaimedCall]
    some_wait: bool = False
    more: bool = False
    last: Place | None = None


def claim(
    switch: str,
    limit: int,
    availability: GatewayAvailability,
    overdue: bool = False,
    look: int = 0,
    after: Place = HEAD,
    catalog: Catalog | None = None,
) -> Claims:
    """Claim up to `limit` queued calls, by turn, planned for the gateways that the switch can
    use. `look` at this many calls if that is more, from the first one `after` a place in the queue.
    With `overdue`, claim only calls that have been queued longer than `QUEUE_TIMEOUT`. `catalog`
    keeps gateways and rates for the next claim.

    Exactly one switch gets each call: rows that another switch is claiming are skipped, or, if the
    database cannot skip locked rows, each is claimed by a compare-and-set. Everything happens in
    one transaction; after an error, all calls are still queued.
    """
    look = max(look, limit)
    if not connection.features.has_select_for_update_skip_locked and not ANY_QUEUED.rows():
        return Claims([])  # do not take SQLite's only write lock without need
    with transaction.atomic():
        waiting = _overdue()[:look] if overdue else _next_calls(look).rows(*after)
        found = [QueuedCall(*row) for row in waiting]
        claimed = _take(switch, found, plan.plan_calls(found, availability, limit, catalog))
        channels.reserve({each.key.pk: each.channels for each in claimed if each.channels})
    return Claims(
        claimed,
        some_wait=len(claimed) < min(limit, len(found)),
        more=bool(claimed) and len(found) >= limit,
        last=(found[-1].turn, found[-1].pk) if len(found) == look else None,
    )


def _take(switch: str, found: list[QueuedCall], planned: list[ClaimedCall]) -> list[ClaimedCall]:
    """Claim these calls. Without their locks, another switch may be faster."""
    lease = timedelta(seconds=settings.lease)
    rows: dict[int, tuple[dict[str, Any], tuple[int, int]]] = {
        call.pk: (
            {
                "state": Call.State.ACTIVE,
                "fence": call.fence + 1,
                "switch": switch,
                "seen_at": call.claimed_at,
                "lease_until": call.claimed_at + lease,
            },
            (call.pk, call.fence),
        )
        for call in found
    }
    only = f"{bulk_sql.quoted(Call, 'state')} = '{Call.State.QUEUED.value}'"
    claims = bulk_sql.updates(
        Call, ("id", "fence"), [rows[each.key.pk] for each in planned], only=only
    )
    if connection.features.has_select_for_update_skip_locked:
        bulk_sql.execute(claims)
        return planned
    return [
        each for each, claim in zip(planned, claims, strict=True) if bulk_sql.execute([claim])[0]
    ]


def take_over(switch: str, call: Call) -> CallKey | None:
    """Claim a call whose lease has lapsed; None if another switch was faster.

    Its `seen_at` is limited to the end of the lease: by then its switch had dropped the call, even
    if it wrote to the row later.
    """
    lapsed = abandoned().filter(pk=call.pk, fence=call.fence)
    if lapsed.update(
        seen_at=Least("seen_at", "lease_until"),  # first: MariaDB applies assignments in order
        switch=switch,
        fence=call.fence + 1,
        lease_until=_lease()["lease_until"],
    ):
        return CallKey(call.pk, call.fence + 1)
    return None


def abandoned() -> Any:
    """The calls whose leases have lapsed."""
    return Call.objects.abandoned(DatabaseNow())


def renew(switch: str, keys: Iterable[CallKey]) -> set[CallKey]:
    """Renew the leases of these calls. Return the lost ones: another switch owns them, or their
    lease has lapsed. A lapsed lease is never renewed: its call was dropped and must not be charged.
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
    ours = rows.filter(switch=switch, state__in=Call.OWNED, lease_until__gte=DatabaseNow())
    if connection.features.has_select_for_update:
        # In the order in which all writes lock calls, to avoid deadlocks.
        no_key = connection.features.has_select_for_no_key_update
        locked = ours.select_for_update(no_key=no_key).order_by("pk")
        fences = dict(locked.values_list("pk", "fence"))
        if ours.update(**_lease()) == len(fences) == len(pks):
            return fences
    else:
        ours.update(**_lease())
    return dict(rows.exclude(pk__in=abandoned()).values_list("pk", "fence"))


def requested_hang_ups(switch: str) -> list[CallKey]:
    """This switch's active calls with a requested hang-up."""
    return [CallKey(pk, fence) for pk, fence in HANG_UPS.rows(switch)]


def let_lapse(key: CallKey) -> None:
    """Abandon the call, so that it can be recovered at once."""
    ours = Call.objects.filter(pk=key.pk, fence=key.fence, state__in=Call.OWNED)
    ours.update(lease_until=DatabaseNow() - timedelta(seconds=1))


def _lease() -> dict[str, Any]:
    until = DatabaseNow() + timedelta(seconds=settings.lease)
    return {"lease_until": until, "seen_at": DatabaseNow()}


def _queued() -> QuerySet[Call, Any]:
    """The queued calls in the order of their turns, locked."""
    queued = Call.objects.queued().order_by("turn", "id")
    if connection.features.has_select_for_update_skip_locked:
        no_key = connection.features.has_select_for_no_key_update
        queued = queued.select_for_update(skip_locked=True, no_key=no_key)
    return queued.annotate(claimed_at=DatabaseNow()).values_list(*QueuedCall._fields)


def _overdue() -> QuerySet[Call, Any]:
    return _queued().filter(created_at__lt=database_now() - plan.queue_timeout())


@cache
def _next_calls(number: int) -> CompiledQuery:
    return CompiledQuery(
        lambda turn, pk: _queued().filter(Q(turn__gt=turn) | Q(turn=turn, pk__gt=pk))[:number]
    )


HANG_UPS = CompiledQuery(
    lambda switch: Call.objects.filter(
        state=Call.State.ACTIVE, switch=switch, hangup_requested_at__isnull=False
    ).values_list("pk", "fence")
)
ANY_ABANDONED = CompiledQuery(lambda: abandoned().order_by().values_list("pk")[:1])
ANY_QUEUED = CompiledQuery(lambda: Call.objects.queued().order_by().values_list("pk")[:1])
