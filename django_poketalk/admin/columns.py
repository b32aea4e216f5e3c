"""The columns of the list of calls. Numbers that the user may not see are masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..events import vetoes
from ..models import CallRequest, Placement
from ..presentation import call_status
from ..protocol.codes import ResponseCode
from ..shared.admin_pages import admin_url
from ..templatetags.poketalk import clock

MAX_LENGTH = 60  # characters of a text; the call's page has all of it

Column = Callable[[CallRequest], str | None]


def of(model_admin: ModelAdmin[Any], request: HttpRequest) -> list[Column]:
    """The columns for this request. Their names are the same for all users."""

    @admin.display(description=_("about"))
    def about(call: CallRequest) -> str:
        return _subject(call, model_admin, request)

    @admin.display(description=_("why"))
    def why(call: CallRequest) -> str:
        return _part("why", reason(call, request.user))

    return [when, *number_columns(request), user, about, outcome, why, length, cost]


@admin.display(description=_("time"), ordering="created_at")
def when(call: CallRequest) -> str:
    at = timezone.localtime(call.created_at)
    return format_html(
        '<time datetime="{}">{} {}</time>',
        at.isoformat(timespec="seconds"),
        date_format(at, "SHORT_DATE_FORMAT"),
        time_format(at, "H:i:s"),
    )


@admin.display(description=_("user"))
def user(call: CallRequest) -> str | None:
    if call.user is None:
        return None
    name = call.user.get_username()
    return format_html('<a href="?{}">{}</a>', urlencode({"user": name}), name)


@admin.display(description=_("outcome"))
def outcome(call: CallRequest) -> str:
    """The status pill. Its attributes give the script the row's call and whether it is open."""
    return format_html(
        '<span data-poketalk-call="{}" data-poketalk-open="{}">{}</span>',
        call.pk,
        "yes" if call.is_open else "no",
        pill(call),
    )


@admin.display(description=_("duration"))
def length(call: CallRequest) -> str:
    seconds = running(call)
    return format_html(
        '<span data-poketalk="length" data-label="{}"{}>{}</span>',
        gettext("Duration"),
        "" if seconds is None else format_html(' data-seconds="{}"', seconds),
        lasted(call),
    )


@admin.display(description=_("cost"))
def cost(call: CallRequest) -> str:
    return _part("cost", call_status.column_cost(call.cost), gettext("Cost"))


def row(call: CallRequest, user: Any) -> dict[str, Any]:
    """The cells of a row that can change, for the script, as text without markup.

    `seconds` is the duration of a call that is running, which the script keeps counting, or null.
    `news` is announced to screen readers when the call has ended.
    """
    number = permissions.display_callee(call, permissions.may_see_numbers(user, call))
    return {
        "phase": call_status.phase(call),
        "state": state(call),
        "open": call.is_open,
        "why": reason(call, user),
        "length": lasted(call),
        "seconds": running(call),
        "cost": call_status.column_cost(call.cost),
        "news": gettext("Call to %(number)s: %(state)s")
        % {"number": call_status.isolated(number), "state": state(call)},
    }


def reason(call: CallRequest, user: Any) -> str:
    """The reason for the outcome, shortened, for this user. "" if the outcome needs no reason."""
    text = _reason(call)
    whole = permissions.may_see_numbers(user, call)
    return Truncator(permissions.display_text(text, whole)).chars(MAX_LENGTH)


def _reason(call: CallRequest) -> str:
    if call.placement == Placement.REJECTED and call.response_code:
        code = ResponseCode(call.response_code)
        return f"{code.value}: {gettext(code.meaning)}"
    if call.placement in (Placement.REJECTED, Placement.FAILED, Placement.UNKNOWN):
        return call.response_detail
    match call.veto_reason:
        case vetoes.MAX_DURATION:
            return gettext("maximum duration reached")
        case vetoes.MAX_COST:
            return gettext("maximum cost reached")
        case "" | vetoes.HANG_UP:
            return _hang_up_requested(call)
        case by_a_rule:
            return by_a_rule


def _hang_up_requested(call: CallRequest) -> str:
    if call.hangup_requested_at is None and not call.veto_reason:
        return ""
    if call.hangup_requested_by is None:
        return gettext("hang-up requested")
    name = call.hangup_requested_by.get_username()
    return gettext("hung up by %(name)s") % {"name": name}


def running(call: CallRequest) -> int | None:
    """Seconds since the caller answered, if the call is open; None otherwise."""
    if not call.is_open or call.a_answered_at is None:
        return None
    passed = int((timezone.now() - call.a_answered_at).total_seconds())
    return max(passed, call.duration)


def lasted(call: CallRequest) -> str:
    """The duration for display. "" if nobody answered."""
    seconds = running(call)
    seconds = call.duration if seconds is None else seconds
    return clock(seconds) if seconds or call.a_answered_at else ""


def _part(name: str, text: str, label: str = "") -> str:
    """A cell that the script updates. Its label is displayed on narrow screens."""
    return format_html(
        '<span data-poketalk="{}"{}>{}</span>',
        name,
        format_html(' data-label="{}"', label) if label else "",
        text,
    )


def _subject(call: CallRequest, model_admin: ModelAdmin[Any], request: HttpRequest) -> str:
    """The object's name, as a link to its page in this admin if the user may see that."""
    subject = call.subject
    if subject is None:
        return "-"
    name = Truncator(str(subject)).chars(MAX_LENGTH)
    site = model_admin.admin_site
    if not site.is_registered(type(subject)):
        return name
    if not site.get_model_admin(type(subject)).has_view_or_change_permission(request, subject):
        return name
    meta = subject._meta
    url = admin_url(site, f"{meta.app_label}_{meta.model_name}_change", subject.pk)
    if not url:
        return name
    return format_html('<a href="{}">{}</a>', url, name)


def pill(call: CallRequest) -> str:
    """The state of the call, in the color of its phase. Its style is in `admin.css`."""
    return format_html(
        '<span class="poketalk-pill" data-phase="{}">{}</span>',
        call_status.phase(call),
        state(call),
    )


def state(call: CallRequest) -> str:
    """The state of the call in words, or that it is being hung up."""
    return gettext("Hanging up") if call_status.phase(call) == "ending" else capfirst(call.state)


def number_columns(request: HttpRequest) -> list[Column]:
    """The columns of both numbers, masked if the user may not see them."""

    @admin.display(description=_("from"))
    def caller(call: CallRequest) -> str:
        return _display_number(request, call, call.from_number)

    @admin.display(description=_("to"))
    def callee(call: CallRequest) -> str:
        return _display_number(request, call, call.to_number, call.to_extension)

    return [caller, callee]


def _display_number(
    request: HttpRequest, call: CallRequest, number: str, extension: str = ""
) -> str:
    whole = permissions.may_see_numbers(request.user, call)
    text = permissions.display_number(number, whole, extension)
    # On one line, and from left to right in any language.
    return format_html('<bdi dir="ltr">{}</bdi>', text.replace(" ", "\N{NO-BREAK SPACE}"))
