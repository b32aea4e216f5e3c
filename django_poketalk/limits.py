"""What may be called, how often, and for how much: every reason to refuse a call before anybody is
asked to dial.

Each rule raises `CallRefused` with a machine code and a sentence. They guard against toll fraud and
against calling somebody to death; they do not depend on who has which permission. Counts are taken,
not reserved: requests that race each other in the same instant can pass a cap by as many as race.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from .conf import settings
from .exceptions import CallRefused
from .models import BlacklistedNumber, CallRequest
from .models.calls import CallRequestQuerySet
from .protocol import numbers

HOUR = timedelta(hours=1)


def check(from_number: str, to_number: str, user: Any, now: datetime) -> None:
    """Refuse the call from leg A's to leg B's number (both E.164) if any rule forbids it."""
    for field, number, direction in (
        ("from_number", from_number, BlacklistedNumber.Direction.FROM),
        ("to_number", to_number, BlacklistedNumber.Direction.TO),
    ):
        _check_destination(field, number)
        _check_blacklist(field, number, direction, now)
    if from_number == to_number:
        raise CallRefused("same_number", _("Both phones have the same number."), "to_number")
    _check_caps(to_number, user, now)


def _check_destination(field: str, number: str) -> None:
    """The allow-lists, and the ranges where fraud is paid for: premium rate and satellite."""
    shown = numbers.display(number)
    prefixes = tuple(numbers.wire(prefix) for prefix in settings.allowed_prefixes)
    if prefixes and numbers.wire(number).startswith(prefixes):
        return
    if not settings.allow_satellite and numbers.is_satellite(number):
        raise CallRefused("satellite", _("%s is a satellite number.") % shown, field)
    if not settings.allow_premium and numbers.is_premium(number):
        raise CallRefused("premium", _("%s costs extra to call.") % shown, field)
    countries = settings.allowed_countries
    if countries is not None and numbers.country(number) not in countries:
        raise CallRefused(
            "country_not_allowed", _("Calls to the country of %s are not allowed.") % shown, field
        )
    if countries is None and prefixes:
        raise CallRefused("prefix_not_allowed", _("Calls to %s are not allowed.") % shown, field)


def _check_blacklist(
    field: str, number: str, direction: BlacklistedNumber.Direction, now: datetime
) -> None:
    entry = BlacklistedNumber.matching(number, direction, now)
    if entry is not None:
        sentence = _("%s is on the blacklist") % numbers.display(number)
        reason = f": {entry.reason}" if entry.reason else "."
        raise CallRefused("blacklisted", f"{sentence}{reason}", field)


def _check_caps(to_number: str, user: Any, now: datetime) -> None:
    """The caps that are set, against what is used of each by now. The setting's name is the
    refusal's code.
    """
    calls = CallRequest.objects.all()
    last_hour = calls.filter(created_at__gt=now - HOUR)
    today = calls.filter(
        created_at__gte=timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    )
    too_many = _("Too many calls in the last hour. Try again later.")
    spent = _("Today's budget for calls is spent.")
    if user is not None:
        busy = _("You have a call already.")
        _check_count("live_calls_per_user", calls.open().filter(user=user), busy)
        _check_count("calls_per_hour_per_user", last_hour.filter(user=user), too_many)
        _check_spend("spend_per_day_per_user", today.filter(user=user), spent)
    callee = _("This number was called too often in the last hour.")
    _check_count("calls_per_hour_per_callee", last_hour.filter(to_number=to_number), callee)
    _check_count("live_calls", calls.open(), _("All lines are busy. Try again in a moment."))
    _check_count("calls_per_hour", last_hour, too_many)
    _check_spend("spend_per_day", today, spent)


def _check_count(cap: str, calls: CallRequestQuerySet, sentence: str) -> None:
    limit: int | None = getattr(settings, cap)
    if limit is not None and calls.count() >= limit:
        raise CallRefused(cap, sentence)


def _check_spend(cap: str, calls: CallRequestQuerySet, sentence: str) -> None:
    limit: Decimal | None = getattr(settings, cap)
    if limit is not None and (calls.aggregate(spent=Sum("debit"))["spent"] or 0) >= limit:
        raise CallRefused(cap, sentence)
