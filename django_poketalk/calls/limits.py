"""The rules that can refuse a call before it is sent: blacklist, destinations, quiet hours, caps.

Each rule yields a `CallRefused` with a code for programs and a sentence for people. The rules
protect against toll fraud, and protect people from too many calls. They apply when a call is
requested, and again when it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Literal

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.utils.formats import time_format
from django.utils.translation import gettext as _

from .. import permissions
from ..conf import DEFAULT_SERVICE, service, written_as
from ..exceptions import CallRefused
from ..models import BlacklistedNumber, CallRequest
from ..protocol import numbers
from ..protocol.form_extensions import INTERNAL_NUMBERS
from ..shared.moments import moment_with_zone
from . import call_rules, quiet_hours, subjects
from .caps import Cap
from .quiet_hours import CalleeTime, QuietHours

Leg = Literal["from_number", "to_number"]
LEGS: tuple[Leg, Leg] = ("from_number", "to_number")
DIRECTIONS: dict[Leg, BlacklistedNumber.Direction] = {
    "from_number": BlacklistedNumber.Direction.FROM,
    "to_number": BlacklistedNumber.Direction.TO,
}


def refusals(
    call: CallRequest, entries: Mapping[Leg, BlacklistedNumber | None] | None = None
) -> Iterator[CallRefused]:
    """All reasons to refuse the call but the caps. Each rule is evaluated when its result is
    requested. Pass the result of `blacklisting` (as `entries`) to reuse it.
    """
    yield from _requester(call)
    yield from _internal(call)
    if entries is None:
        entries = blacklisting(call)
    for leg in LEGS:
        if numbers.is_internal(getattr(call, leg)):
            continue  # it has no country and no price of its own, and is on no blacklist
        yield from _destination(leg, getattr(call, leg), call.service)
        if (entry := entries[leg]) is not None:
            sentence = _("%s is on the blacklist") % numbers.display(getattr(call, leg))
            yield CallRefused("blacklisted", f"{sentence}{_reason(entry, call)}", leg)
    if call.from_number == call.to_number:
        yield CallRefused(
            "same_number",
            _("The caller’s and the callee’s phone have the same number."),
            "to_number",
        )
    if service(call.service).quiet_hours is not None:
        local = callee_time(call)
        if local.quiet:
            yield CallRefused("quiet_hours", _quiet(call.to_number, local), "to_number")
    yield from call_rules.refusals(call)


def reached(counted: Iterable[Cap]) -> Iterator[CallRefused]:
    """The refusals of the caps that are reached."""
    for cap in counted:
        if cap.is_reached:
            yield CallRefused(cap.name, cap.sentence)


def blacklisting(call: CallRequest) -> dict[Leg, BlacklistedNumber | None]:
    """For each leg of the call, the blacklist entry that forbids it, or None. Internal numbers are
    on no blacklist.
    """
    legs = [leg for leg in LEGS if not numbers.is_internal(getattr(call, leg))]
    found = BlacklistedNumber.matching_each(
        [(getattr(call, leg), DIRECTIONS[leg]) for leg in legs], call.rings_at
    )
    return dict.fromkeys(LEGS) | dict(zip(legs, found, strict=True))


def _reason(entry: BlacklistedNumber, call: CallRequest) -> str:
    """The end of the sentence. Other numbers in the reason are masked for the call's user."""
    whole = call.user is None or permissions.may_see_numbers(call.user)
    return f": {permissions.display_text(entry.reason, whole)}" if entry.reason else "."


def hours(alias: str = DEFAULT_SERVICE) -> QuietHours | None:
    """The quiet hours of this service, or None. Raises `ImproperlyConfigured` if they are invalid,
    which a system check also reports.
    """
    written = service(alias).quiet_hours
    try:
        return None if written is None else QuietHours.parse(written)
    except ValueError as error:
        name = written_as(alias, "QUIET_HOURS")
        raise ImproperlyConfigured(f"{name}: {error}") from error


def allowed_prefixes(alias: str = DEFAULT_SERVICE) -> tuple[str, ...]:
    """The allowed prefixes of this service, as digits. Raises `ImproperlyConfigured` if one is
    invalid, such as "", which a system check also reports.
    """
    written = service(alias).allowed_prefixes
    try:
        return tuple(numbers.wire(numbers.normalize_prefix(prefix)) for prefix in written)
    except numbers.InvalidNumber as error:
        name = written_as(alias, "ALLOWED_PREFIXES")
        raise ImproperlyConfigured(f"{name}: {error}") from error


def callee_time(call: CallRequest) -> CalleeTime:
    """The callee's local time at which the call can first be placed, and whether quiet hours apply.
    Uses the site's time zone if that of the number is not known.
    """
    zone = timezone.get_default_timezone()
    return quiet_hours.look(call.to_number, call.rings_at, hours(call.service), zone)


def _requester(call: CallRequest) -> Iterator[CallRefused]:
    """Whether the user is active and, if the call requires it, may place it."""
    if call.user is not None and not call.user.is_active:
        yield CallRefused("not_allowed", _("You are not allowed to place calls."))
    elif call.requires_permission:
        if call.user is None or not permissions.may_place(call.user):
            yield CallRefused("not_allowed", _("You are not allowed to place calls."))
        elif call.subject_type_id is not None and not _may_call_about(call):
            yield subjects.unknown()


def _may_call_about(call: CallRequest) -> bool:
    user, about = call.user, call.subject
    return user is not None and about is not None and permissions.may_call_about(user, about)


def _internal(call: CallRequest) -> Iterator[CallRefused]:
    """Whether the service can ring an internal number."""
    is_supported = INTERNAL_NUMBERS in service(call.service).service_extensions
    if numbers.is_internal(call.from_number) and not is_supported:
        sentence = _("The service cannot ring internal numbers, such as %s.")
        yield CallRefused("internal_numbers", sentence % call.from_number, "from_number")


def _destination(field: str, number: str, alias: str) -> Iterator[CallRefused]:
    """The allowed destinations, and the ranges that are common in fraud: premium and satellite."""
    allowed, prefixes = service(alias), allowed_prefixes(alias)
    if prefixes and numbers.wire(number).startswith(prefixes):
        return
    readable = partial(numbers.display, number)
    if not allowed.allow_satellite and numbers.is_satellite(number):
        yield CallRefused("satellite", _("%s is a satellite number.") % readable(), field)
    if not allowed.allow_premium and numbers.is_premium(number):
        yield CallRefused("premium", _("%s costs extra to call.") % readable(), field)
    countries = allowed.allowed_countries
    if countries is not None and numbers.country(number) not in countries:
        sentence = _("Calls to the country of %s are not allowed.")
        yield CallRefused("country_not_allowed", sentence % readable(), field)
    if countries is None and prefixes:
        sentence = _("Calls to %s are not allowed.")
        yield CallRefused("prefix_not_allowed", sentence % readable(), field)


def _quiet(number: str, at_callee: CalleeTime) -> str:
    """The callee's local time, and when calls are allowed again, in the callee's time zone and, if
    it differs, in the current one.
    """
    words = {
        "number": numbers.display(number),
        "earliest": time_format(at_callee.local[0].time(), "H:i"),
        "latest": time_format(at_callee.local[-1].time(), "H:i"),
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
    words = {
        "there": moment_with_zone(at_callee.again, at_callee.again.tzinfo),
        "here": moment_with_zone(at_callee.again),
    }
    if len(at_callee.local) > 1:
        return _("Calls are allowed again from %(here)s, your time.") % words
    here = timezone.localtime(at_callee.again)
    if here.replace(tzinfo=None) == at_callee.again.replace(tzinfo=None):
        return _("Calls are allowed again from %(there)s.") % words
    return _("Calls are allowed again from %(there)s there, %(here)s your time.") % words
