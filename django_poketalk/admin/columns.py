"""The columns of the list of calls. Numbers that the user may not see are masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..conf import aliases
from ..events import vetoes
from ..models import CallRequest, Placement
from ..presentation import call_status, hangup_causes, wrap_up
from ..presentation.people import full_name
from ..protocol.codes import ResponseCode
from ..shared.moments import clock, moment_cell
from ..shared.number_names import left_to_right
from ..shared.text import isolated
from .subject_links import subject_url

MAX_LENGTH = 60  # characters of a text; the call's page has all of it

# What these mean is in the answer.
EXPLAINED = (Placement.REJECTED, Placement.FAILED, Placement.UNKNOWN, Placement.FORBIDDEN)

Column = Callable[[CallRequest], str | None]


def of(model_admin: ModelAdmin[Any], request: HttpRequest) -> list[Column]:
    """The columns for this request. Their names are the same for all users."""

    @admin.display(description=_("about"))
    def about(call: CallRequest) -> str:
        return _subject(call, model_admin, request)

    @admin.display(description=_("why"))
    def why(call: CallRequest) -> str:
        text = reason(call, request.user)
        return format_html('<span data-poketalk="why" title="{}">{}</span>', text, text)

    of_several = [service] if len(aliases()) > 1 else []
    who = [when, *number_columns(request), user, about, *of_several]
    return [*who, outcome, *results(), why, length, cost]


def results() -> list[Column]:
    """The column of the results, if the project has any."""
    return [result] if wrap_up.choices() else []


@admin.display(description=_("time"), ordering="created_at")
def when(call: CallRequest) -> str:
    return moment_cell(call.created_at)


@admin.display(description=_("user"))
def user(call: CallRequest) -> str | None:
    if call.user is None:
        return None
    query, name = urlencode({"user": call.user.get_username()}), full_name(call.user)
    return format_html('<a href="?{}" title="{}">{}</a>', query, name, name)


@admin.display(description=_("service"))
def service(call: CallRequest) -> str:
    return format_html('<span data-label="{}">{}</span>', gettext("Service"), call.service)


@admin.display(description=_("outcome"))
def outcome(call: CallRequest) -> str:
    """The status pill. Its attributes give the script the row's call and whether it is open."""
    return format_html(
        '<span data-poketalk-call="{}" data-poketalk-open="{}">{}</span>',
        call.pk,
        "yes" if call.is_open else "no",
        pill(call),
    )


@admin.display(description=_("result"))
def result(call: CallRequest) -> str:
    """What the caller chose for the call, "" for nothing. Load `wrap_up` with the calls."""
    row = call.wrapped_up
    if row is None or not row.disposition:
        return ""
    words = '<span data-label="{}" title="{}"><bdi>{}</bdi></span>'
    return format_html(words, gettext("Result"), row.label, row.label)


@admin.display(description=_("talk time"), ordering="final_talk_time")
def length(call: CallRequest) -> str:
    seconds = running_seconds(call)
    return format_html(
        '<span data-poketalk="length" data-label="{}"{}>{}</span>',
        gettext("Talk time"),
        "" if seconds is None else format_html(' data-seconds="{}"', seconds),
        display_talk_time(call),
    )


@admin.display(description=_("cost"), ordering="final_cost")
def cost(call: CallRequest) -> str:
    return format_html(
        '<span data-poketalk="cost" data-label="{}"{}>{}</span>',
        gettext("Cost"),
        format_html(' title="{}"', billed) if (billed := _billed(call)) else "",
        call_status.column_cost(call.cost),
    )


def row(call: CallRequest, user: Any) -> dict[str, Any]:
    """The cells of a row that can change, for the script, as text without markup.

    `seconds` is the talk time of a call that is running, which the script keeps counting, or null.
    `news` is announced to screen readers when the call has ended.
    """
    number = permissions.display_callee(call, permissions.may_see_numbers(user, call))
    return {
        "phase": call_status.phase(call),
        "state": state(call),
        "open": call.is_open,
        "why": reason(call, user),
        "length": display_talk_time(call),
        "seconds": running_seconds(call),
        "cost": call_status.column_cost(call.cost),
        "news": gettext("Call to %(number)s: %(state)s")
        % {"number": isolated(number), "state": state(call)},
    }


def reason(call: CallRequest, user: Any) -> str:
    """The reason for the outcome, shortened, for this user. "" if the outcome needs no reason."""
    text = _reason(call)
    whole = permissions.may_see_numbers(user, call)
    return Truncator(permissions.display_text(text, whole)).chars(MAX_LENGTH)


def _reason(call: CallRequest) -> str:
    if call.placement == Placement.REJECTED and call.response_code:
        code = ResponseCode(call.response_code)
        return f"{code.value}: {hangup_causes.in_words(call) or gettext(code.meaning)}"
    if cause := hangup_causes.in_words(call):
        return cause
    if call.placement in EXPLAINED:
        return call.response_detail
    if call.veto_reason in ("", vetoes.HANG_UP):
        return _hang_up_requested(call)
    return hangup_causes.veto_in_words(call.veto_reason)


def _hang_up_requested(call: CallRequest) -> str:
    if call.hangup_requested_at is None and not call.veto_reason:
        return ""
    if call.hangup_requested_by is None:
        return gettext("hang-up requested")
    name = call.hangup_requested_by.get_username()
    return gettext("hung up by %(name)s") % {"name": name}


def running_seconds(call: CallRequest) -> int | None:
    """The seconds that both have talked so far, while they are; None otherwise."""
    return call.talk_time if call.is_open and call.status in call_status.TALKING else None


def display_talk_time(call: CallRequest) -> str:
    """The talk time for display. "" if the callee did not answer."""
    seconds = call.talk_time
    return clock(seconds) if seconds or call.b_answered_at else ""


def _billed(call: CallRequest) -> str:
    """The billed time, for the tooltip of the cost. "" while the call goes on, or without one."""
    if call.is_open or not call.duration:
        return ""
    return gettext("Billed time: %s") % clock(call.duration)


def _subject(call: CallRequest, model_admin: ModelAdmin[Any], request: HttpRequest) -> str:
    """The object's name, as a link to its page in this admin if the user may see that."""
    subject = call.subject
    if subject is None:
        return "-"
    name = Truncator(str(subject)).chars(MAX_LENGTH)
    url = subject_url(model_admin.admin_site, request, subject)
    if not url:
        return format_html('<span title="{}">{}</span>', subject, name)
    return format_html('<a href="{}" title="{}">{}</a>', url, subject, name)


def pill(call: CallRequest) -> str:
    """The state of the call, in the color of its phase. Its style is in `admin.css`."""
    return format_html(
        '<span class="poketalk-pill" data-phase="{}">{}</span>',
        call_status.phase(call),
        state(call),
    )


def state(call: CallRequest) -> str:
    """The state of the call in words, or that it is being hung up."""
    is_ending = call_status.phase(call) == "ending"
    return gettext("Hanging up") if is_ending else call_status.heading(call)


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
    return left_to_right(text)
