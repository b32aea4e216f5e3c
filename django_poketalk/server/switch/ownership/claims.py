"""Whose a call is: claiming queued calls, keeping their leases, and taking over what a switch has
left behind. Every function is blocking and safe to run again.

Leases are measured by the database's clock alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Least

from django_poketalk.server.conf import settings
from django_poketalk.server.database.clock import DatabaseNow, database_now
from django_poketalk.server.models import Call

from ..gateways.base import CallKey
from . import plan
from .plan import ClaimedCall

BATCH = 500  # rows named in one statement


def claim(
    switch: str, limit: int, kinds: Iterable[str], overdue: bool = False
) -> list[ClaimedCall]:
    """Take up to `limit` queued calls, the oldest first. Calls go out through gateways of `kinds`.
    With `overdue`, only such as have waited longer than `QUEUE_TIMEOUT`.

    Of several switches, one gets each call: rows that another one is just taking are passed over,
    or, where the database cannot do that, each is taken by a compare-and-set. All in one
    transaction: after an error, nobody has any of them.
    """
    waiting = _waiting()
    if overdue:
        waiting = waiting.filter(created_at__lt=database_now() - plan.patience())
    if connection.features.has_select_for_update_skip_locked:
        with transaction.atomic():
            calls = _take_together(switch, waiting, limit)
            return plan.planned(calls, kinds)
    if not waiting.exists():  # before the only write lock that there is, is asked for
        return []
    with transaction.atomic():
        calls = [call for call in list(waiting[:limit]) if _take_one(switch, call)]
        return plan.planned(calls, kinds)


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
    ours = rows.filter(switch=switch, state__in=Call.OWNED, lease_until__gte=DatabaseNow())
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


def requested_hang_ups(switch: str) -> list[CallKey]:
    """Our live calls that somebody wants ended."""
    asked = Call.objects.filter(
        state=Call.State.ACTIVE, switch=switch, hangup_requested_at__isnull=False
    )
    return [CallKey(pk, fence) for pk, fence in asked.values_list("pk", "fence")]


def let_lapse(key: CallKey) -> None:
    """Give the call up, so that it is ended as an abandoned one without further delay."""
    ours = Call.objects.filter(pk=key.pk, fence=key.fence, state__in=Call.OWNED)
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
