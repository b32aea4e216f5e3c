"""The rules that can refuse a call before it is sent: blacklist, destinations, quiet hours, caps.

Each rule yields a `CallRefused` with a code for programs and a sentence for people. The rules
protect against toll fraud, and protect people from too many calls. They do not depend on
permissions. Caps count calls but reserve nothing, so concurrent requests can exceed a cap by their
number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ..conf import settings
from ..exceptions import CallRefused
from ..models import BlacklistedNumber, CallRequest, Phone
from ..models.calls import CallRequestQuerySet
from ..protocol import numbers
from ..protocol.form_extensions import INTERNAL_NUMBERS
from ..shared.periods import midnight
from . import caller_phones, quiet_hours
from .quiet_hours import CalleeTime, QuietHours

HOUR = timedelta(hours=1)
MILLIONTH = Decimal("0.000001")  # of the currency: the precision of the columns


Leg = Literal["from_number", "to_number"]
LEGS: tuple[Leg, Leg] = ("from_number", "to_number")


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit on calls in total that is set.

    `name` is the name of the setting in lower case, and also the code of the refusal. `used` is the
    current count, in calls (`int`) or money (`Decimal`).
    """

    name: str
    limit: int | Decimal
    used: int | Decimal
    sentence: str

    @property
    def is_own(self) -> bool:
        """Whether it only counts the calls of the user who requests the call."""
        return self.name.endswith("_per_user")

    @property
    def left(self) -> int | Decimal:
        """How much is left, at least zero."""
        return max(self.limit - self.used, type(self.limit)(0))

    @property
    def is_reached(self) -> bool:
        return self.used >= self.limit


def refusals(
    call: CallRequest,
    entries: Mapping[Leg, BlacklistedNumber | None] | None = None,
    counted: Iterable[Cap] | None = None,
) -> Iterator[CallRefused]:
    """All reasons to refuse the call. Each rule is evaluated when its result is requested.

    Pass the results of `blacklisting` (as `entries`) and `caps` (as `counted`) to reuse them.
    """
    yield from _internal(call)
    for leg in LEGS:
        if numbers.is_internal(getattr(call, leg)):
            continue  # it has no country and no price of its own, and is on no blacklist
        yield from _destination(leg, getattr(call, leg))
        entry = blacklisting(call, leg) if entries is None else entries[leg]
        if entry is not None:
            sentence = _("%s is on the blacklist") % numbers.display(getattr(call, leg))
            reason = f": {entry.reason}" if entry.reason else "."
            yield CallRefused("blacklisted", f"{sentence}{reason}", leg)
    if call.from_number == call.to_number:
        yield CallRefused(
            "same_number",
            _("The caller’s and the callee’s phone have the same number."),
            "to_number",
        )
    if settings.quiet_hours is not None:
        local = callee_time(call)
        if local.quiet:
            yield CallRefused("quiet_hours", _quiet(call.to_number, local), "to_number")
    for cap in caps(call) if counted is None else counted:
        if cap.is_reached:
            yield CallRefused(cap.name, cap.sentence)


def blacklisting(call: CallRequest, leg: Leg) -> BlacklistedNumber | None:
    """The blacklist entry that forbids this leg of the call, or None."""
    directions = BlacklistedNumber.Direction
    if numbers.is_internal(getattr(call, leg)):
        return None
    direction = directions.FROM if leg == "from_number" else directions.TO
    return BlacklistedNumber.matching(getattr(call, leg), direction, call.created_at)


def hours() -> QuietHours | None:
    """The quiet hours that are set, or None. Raises `ImproperlyConfigured` if they are invalid,
    which a system check also reports.
    """
    written = settings.quiet_hours
    try:
        return None if written is None else QuietHours.parse(written)
    except ValueError as error:
        raise ImproperlyConfigured(f"POKETALK['QUIET_HOURS']: {error}") from error


def allowed_prefixes() -> tuple[str, ...]:
    """The allowed prefixes, as digits. Raises `ImproperlyConfigured` if one is invalid, such as "",
    which a system check also reports.
    """
    written = settings.allowed_prefixes
    try:
        return tuple(numbers.wire(numbers.normalize_prefix(prefix)) for prefix in written)
    except numbers.InvalidNumber as error:
        raise ImproperlyConfigured(f"POKETALK['ALLOWED_PREFIXES']: {error}") from error


def callee_time(call: CallRequest) -> CalleeTime:
    """The callee's local time at which the call can first be placed, and whether quiet hours apply.
    Uses the site's time zone if that of the number is not known.
    """
    starts = max(call.created_at, call.not_before)
    return quiet_hours.look(call.to_number, starts, hours(), timezone.get_default_timezone())


def caps(call: CallRequest) -> Iterator[Cap]:
    """The caps that apply to this call. Each is counted when it is requested."""
    calls = CallRequest.objects.all()
    now = call.created_at
    last_hour = calls.filter(created_at__gt=now - HOUR)
    today = calls.filter(created_at__gte=midnight(timezone.localtime(now).date()))
    too_many = _("Too many calls in the last hour. Try again later.")
    spent = _("Today’s budget for calls is used up.")
    if call.user is not None:
        own = {"user": call.user}
        busy = _("You already have a call in progress.")
        yield from _count("live_calls_per_user", calls.open().filter(**own), busy)
        yield from _count("calls_per_hour_per_user", last_hour.filter(**own), too_many)
        yield from _spend("spend_per_day_per_user", today.filter(**own), spent)
    callee = _("This number was called too often in the last hour.")
    same_callee = last_hour.filter(to_number=call.to_number)
    yield from _count("calls_per_hour_per_callee", same_callee, callee)
    if not _is_verified_own_phone(call):
        phone = _("Your phone was rung too often in the last hour. Try again later.")
        rung = last_hour.filter(Q(from_number=call.from_number) | Q(to_number=call.from_number))
        yield from _count("calls_per_hour_per_caller_phone", rung, phone)
    busy = _("All lines are busy. Try again in a moment.")
    yield from _count("live_calls", calls.open(), busy)
    yield from _count("calls_per_hour", last_hour, too_many)
    yield from _spend("spend_per_day", today, spent)


def _is_verified_own_phone(call: CallRequest) -> bool:
    """Whether the caller's phone is known to be the user's. Those may ring as often as the user may
    call.
    """
    if settings.verify_phones is None or call.user is None:
        return False
    phone = caller_phones.find(Phone.objects.for_user(call.user), call.from_number)
    return phone is not None and phone.is_verified


def _internal(call: CallRequest) -> Iterator[CallRefused]:
    """Whether the service can ring an internal number."""
    is_supported = INTERNAL_NUMBERS in settings.service_extensions
    if numbers.is_internal(call.from_number) and not is_supported:
        sentence = _("The service cannot ring internal numbers, such as %s.")
        yield CallRefused("internal_numbers", sentence % call.from_number, "from_number")


def _destination(field: str, number: str) -> Iterator[CallRefused]:
    """The allowed destinations, and the ranges that are common in fraud: premium and satellite."""
    readable = numbers.display(number)
    prefixes = allowed_prefixes()
    if prefixes and numbers.wire(number).startswith(prefixes):
        return
    if not settings.allow_satellite and numbers.is_satellite(number):
        yield CallRefused("satellite", _("%s is a satellite number.") % readable, field)
    if not settings.allow_premium and numbers.is_premium(number):
        yield CallRefused("premium", _("%s costs extra to call.") % readable, field)
    countries = settings.allowed_countries
    if countries is not None and numbers.country(number) not in countries:
        sentence = _("Calls to the country of %s are not allowed.")
        yield CallRefused("country_not_allowed", sentence % readable, field)
    if countries is None and prefixes:
        yield CallRefused("prefix_not_allowed", _("Calls to %s are not allowed.") % readable, field)


def _quiet(number: str, at_callee: CalleeTime) -> str:
    """The callee's local time, and when calls are allowed again, in the callee's time zone and, if
    it differs, in the current one.
    """
    words = {
        "number": numbers.display(number),
        "earliest": date_format(at_callee.local[0], "TIME_FORMAT"),
        "latest": date_format(at_callee.local[-1], "TIME_FORMAT"),
    }
    if len(at_callee.local) > 1:
        sentence = _(
            "It may be between %(earliest)s and %(latest)s at %(number)s, which is within quiet"
            " hours."
        )
    elif at_callee.known:
        sentence = _("It is %(earliest)s at %(number)s, which is within quiet hours.")
    else:
        sentence = _(
            "The time zone of %(number)s is not known. It is %(earliest)s here, which is within"
            " quiet hours."
        )
    return f"{sentence % words} {_allowed_again(at_callee)}"


def _allowed_again(at_callee: CalleeTime) -> str:
    if at_callee.again is None:
        return _(
            "It is always quiet hours in one of its time zones, so this number cannot be called."
        )
    here = timezone.localtime(at_callee.again)
    words = {
        "there": date_format(at_callee.again, "DATETIME_FORMAT"),
        "here": date_format(here, "DATETIME_FORMAT"),
    }
    if len(at_callee.local) > 1:
        return _("Calls are allowed again from %(here)s, your time.") % words
    if here.replace(tzinfo=None) == at_callee.again.replace(tzinfo=None):
        return _("Calls are allowed again from %(there)s.") % words
    return _("Calls are allowed again from %(there)s there, %(here)s your time.") % words


def _count(name: str, calls: CallRequestQuerySet, sentence: str) -> Iterator[Cap]:
    limit: int | None = getattr(settings, name)
    if limit is not None:
        yield Cap(name, limit, calls.count(), sentence)


def _spend(name: str, calls: CallRequestQuerySet, sentence: str) -> Iterator[Cap]:
    limit: Decimal | None = getattr(settings, name)
    if limit is not None:
        spent: Decimal | None = calls.aggregate(spent=Sum("cost"))["spent"]
        # SQLite sums decimals as floats.
        yield Cap(name, limit, (spent or Decimal(0)).quantize(MILLIONTH), sentence)
