"""Erases the numbers of old calls and deletes old verification codes, so that personal data is
only kept as long as necessary.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from ..conf import aliases, service, settings
from ..models import (
    BlacklistedNumber,
    CallBack,
    CallEvent,
    CallMetadata,
    CallRequest,
    VerificationCode,
    WrapUp,
)
from ..models.call_totals import changing
from ..models.calls import CallRequestQuerySet
from ..models.states import IS_OPEN
from ..shared.personal_data import batches, mask_history, mask_json, mask_texts
from . import services

CODES_KEPT = timedelta(hours=1)  # in which codes are counted
NOTHING = {"from_number": "", "to_number": "", "to_extension": "", "presented_number": ""}


def forget_old_numbers(now: datetime | None = None) -> int:
    """Forget the numbers of what is more than `FORGET_NUMBERS_AFTER` days old, in small batches.
    Returns the number of calls.

    This erases the numbers and the extension of calls that are not open, masks numbers in the texts
    of these calls, of their events and of the admin's history, and deletes old call backs
    and blacklist entries that expired. Each call has the days of its service. The history, which
    has no service, is masked after the fewest.
    """
    now = now or timezone.now()
    ended = CallRequest.objects.exclude(IS_OPEN).exclude(**NOTHING)
    erased = sum(
        _forget(calls.filter(created_at__lt=now - timedelta(days=days)))
        for alias, calls in services.partition(ended)
        if (days := service(alias).forget_numbers_after) is not None
    )
    if settings.forget_numbers_after is not None:
        limit = now - timedelta(days=settings.forget_numbers_after)
        for batch in batches(BlacklistedNumber.objects.filter(until__lt=limit)):
            BlacklistedNumber.objects.filter(pk__in=batch).delete()
        for batch in batches(CallBack.objects.filter(Q(due_at__lt=limit) | Q(done_at__lt=limit))):
            CallBack.objects.filter(pk__in=batch).delete()
    every = [settings.forget_numbers_after]
    every += [service(alias).forget_numbers_after for alias in aliases()]
    if fewest := [days for days in every if days is not None]:
        mask_history("poketalk", now - timedelta(days=min(fewest)))
    return erased


def _forget(old: CallRequestQuerySet) -> int:
    """Erase the numbers of these calls. Returns how many they are."""
    erased = 0
    for batch in batches(old):
        rows = CallRequest.objects.filter(pk__in=batch)
        mask_texts_of(rows)  # first: without its numbers, a call is not found again
        with changing(rows.values_list("created_at", flat=True)):
            erased += rows.update(**NOTHING)
    return erased


def mask_texts_of(calls: CallRequestQuerySet) -> None:
    """Mask the numbers in the texts of these calls, of their wrap-ups, metadata and events."""
    mask_texts(calls, "response_detail", "veto_reason")
    mask_texts(WrapUp.objects.filter(call__in=calls), "note")
    mask_metadata(CallMetadata.objects.filter(call__in=calls))
    mask_texts(CallEvent.objects.filter(call__in=calls), "reason")


def mask_metadata(rows: models.QuerySet[Any], holding: str = "") -> int:
    """Mask the numbers in texts of these rows' metadata, or only one number (`mask_texts`). Returns
    how many rows had one.
    """
    field = "data" if rows.model is CallMetadata else "metadata"
    masked_rows = 0
    for batch in batches(rows):
        for pk, data in rows.model._base_manager.filter(pk__in=batch).values_list("pk", field):
            masked = mask_json(data, holding)
            if masked != data:
                masked_rows += rows.model._base_manager.filter(pk=pk).update(**{field: masked})
    return masked_rows


def forget_old_codes(now: datetime) -> None:
    """Delete the verification codes that are no longer counted."""
    VerificationCode.objects.filter(created_at__lte=now - CODES_KEPT).delete()
