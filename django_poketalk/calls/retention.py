"""Erases the numbers of old calls, so that personal data is only kept as long as necessary."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from ..conf import settings
from ..models import CallRequest
from ..models.calls import IS_OPEN

BATCH = 1000
NOTHING = {"from_number": "", "to_number": "", "to_extension": "", "presented_number": ""}


def forget_old_numbers(now: datetime | None = None) -> int:
    """Erase the numbers, and the extension, of calls that were created more than
    `FORGET_NUMBERS_AFTER` days ago and are not open. Returns the number of calls.
    """
    days = settings.forget_numbers_after
    if days is None:
        return 0
    limit = (now or timezone.now()) - timedelta(days=days)
    kept = CallRequest.objects.filter(created_at__lt=limit).exclude(from_number="", to_number="")
    erased = 0
    while batch := list(kept.exclude(IS_OPEN).values_list("pk", flat=True)[:BATCH]):
        erased += CallRequest.objects.filter(pk__in=batch).update(**NOTHING)
    return erased
