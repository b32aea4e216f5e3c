"""Forgets the numbers of old calls, a batch at a time. The switch runs it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from django.db.models import Q

from django_poketalk.protocol import numbers
from django_poketalk.shared.personal_data import BATCH, batches, mask_history, mask_texts

from .conf import settings
from .database.clock import database_now
from .models import Call, EventDelivery, LedgerEntry, Leg, TestCall

NOTHING = {
    "from_number": "",
    "to_number": "",
    "to_extension": "",
    "presented_number": "",
    "eventurl": "",
}
IS_OVER = Q(state=Call.State.ENDED, final_event_due_at=None)


def forget_batch(after: int) -> int | None:
    """Forget the numbers of a batch of calls that are more than `FORGET_NUMBERS_AFTER` days old,
    those with greater primary keys than `after`. Returns the greatest key in the batch, or None if
    there are no more calls.

    The first batch (`after` 0) includes test calls, notes of ledger entries and the admin's
    history. Amounts, times and causes stay, as evidence of charges.
    """
    days = settings.forget_numbers_after
    if days is None:
        return None
    limit = database_now() - timedelta(days=days)
    if after == 0:
        _forget_others(limit)
    old = Call.objects.filter(IS_OVER, created_at__lt=limit, pk__gt=after).exclude(**NOTHING)
    keys = list(old.order_by("pk").values_list("pk", flat=True)[:BATCH])
    if not keys:
        return None
    forget_calls(keys)
    return keys[-1]


def forget_calls(keys: list[int]) -> None:
    """Forget all numbers of these calls, their legs and deliveries."""
    calls = Call.objects.filter(pk__in=keys)
    mask_custom(keys)
    mask_texts(EventDelivery.objects.filter(call__in=keys), "error")
    Leg.objects.filter(call__in=keys).update(number="", dialog="")
    calls.update(**NOTHING)


def mask_custom(keys: list[int]) -> None:
    """Mask the numbers in the customers' ids of those calls whose id contains one of the call."""
    columns = ("pk", "custom", "from_number", "to_number", "presented_number")
    for pk, custom, *called in Call.objects.filter(pk__in=keys).values_list(*columns):
        digits, masked = re.sub("[^0-9]", "", numbers.clean(custom)), custom
        for number in called:
            if len(number) > 6 and number[-7:] in digits:  # cheap, as few ids have one
                masked = numbers.mask_in_records(masked, numbers.pattern_within(number))
        if masked != custom:
            Call.objects.filter(pk=pk).update(custom=masked[:255])


def _forget_others(limit: datetime) -> None:
    ended = TestCall.objects.filter(state=TestCall.State.ENDED, created_at__lt=limit)
    for batch in batches(ended.exclude(number="")):
        TestCall.objects.filter(pk__in=batch).update(number="")
    mask_texts(LedgerEntry.objects.filter(created_at__lt=limit).exclude(note=""), "note")
    mask_history("poketalk_server", limit)
