"""Ownership of calls: claiming queued calls, renewing their leases, and taking over abandoned ones.
All functions are blocking and idempotent. Leases are measured by the database's clock only.
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

BATCH = 500  # primary keys in one statement


def claim(
    switch: str, limit: int, kinds: Iterable[str], overdue: bool = False
) -> list[ClaimedCall]:
    """Claim up to `limit` queued calls, oldest first, planned for gateways of `kinds`. With
    `overdue`, only calls that have been queued longer than `QUEUE_TIMEOUT`.

    Exactly one switch gets each call: rows that another switch is claiming are skipped, or, if the
    database cannot skip locked rows, each is claimed by a compare-and-set. Everything happens in
    one transaction; after an error, all calls are still queued.
    """
    waiting = _waiting()
    if overdue:
        waiting = waiting.filter(created_at__lt=database_now() - plan.queue_timeout())
    if connection.features.has_select_for_update_skip_locked:
        with transaction.atomic():
            return plan.plan_calls(_claim_together(switch, waiting, limit), kinds)
    if not waiting.exists():  # do not take SQLite's only write lock without need
        return []
    with transaction.atomic():
        calls = [call for call in list(waiting[:limit]) if _claim_one(switch, call)]
        return plan.plan_calls(calls, kinds)


def _waiting() -> Any:
    """The queued calls, each with the database's time as `claimed_at`."""
    return Call.objects.queued().order_by("id").annotate(claimed_at=DatabaseNow())


def _claim_together(switch: str, waiting: Any, limit: int) -> list[Call]:
    no_key = connection.features.has_select_for_no_key_update
    calls = list(waiting.select_for_update(skip_locked=True, no_key=no_key)[:limit])
    if calls:
        Call.objects.filter(pk__in=[call.pk for call in calls]).update(**_claim_columns(switch))
    return calls


def _claim_one(switch: str, call: Call) -> bool:
    return bool(
        Call.objects.queued().filter(pk=call.pk, fence=call.fence).update(**_claim_columns(switch))
    )


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
    requested = Call.objects.filter(
        state=Call.State.ACTIVE, switch=switch, hangup_requested_at__isnull=False
    )
    return [CallKey(pk, fence) for pk, fence in requested.values_list("pk", "fence")]


def let_lapse(key: CallKey) -> None:
    """Abandon the call, so that it can be recovered at once."""
    ours = Call.objects.filter(pk=key.pk, fence=key.fence, state__in=Call.OWNED)
    ours.update(lease_until=DatabaseNow() - timedelta(seconds=1))


def _claim_columns(switch: str) -> dict[str, Any]:
    return {"state": Call.State.ACTIVE, "fence": F("fence") + 1, "switch": switch, **_lease()}


def _lease() -> dict[str, Any]:
    until = DatabaseNow() + timedelta(seconds=settings.lease)
    return {"lease_until": until, "seen_at": DatabaseNow()}
