"""The actions of the list of calls (hang up, call again, export as CSV), and its live rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin, helpers
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..calls import caller_phones, redialing, requesting, subjects
from ..calls.currencies import currency_of
from ..calls.service_extensions import undialed
from ..exceptions import CallRefused
from ..models import CallRequest
from ..models.metadata import as_json
from ..models.related_rows import RELATED_ROWS
from ..models.states import OPEN_BY_INDEX
from ..presentation import call_status
from ..presentation.people import full_name
from ..protocol import numbers
from ..shared import csv_export
from ..shared.admin_pages import admin_url, render_page
from ..shared.etags import weak_etag
from ..shared.personal_data import mask_json
from ..shared.text import whole_number
from . import columns

Calls = QuerySet[CallRequest]

MAX_CALLS = 20  # the most calls that one action may place
MAX_LIVE_ROWS = 200  # the most rows in one request for updates


@admin.action(description=_("Hang up selected calls"), permissions=["hang_up"])
def hang_up(model_admin: ModelAdmin[Any], request: HttpRequest, queryset: Calls) -> None:
    still_open = queryset.filter(OPEN_BY_INDEX)
    ended = [call for call in still_open if requesting.hang_up(call, request.user)]
    for call in ended:
        model_admin.log_change(request, call, "Requested hang-up.")
    model_admin.message_user(
        request,
        ngettext("%d call is being ended.", "%d calls are being ended.", len(ended)) % len(ended),
        messages.SUCCESS if ended else messages.WARNING,
    )


@admin.action(description=_("Call again"), permissions=["place"])
def call_again(
    model_admin: ModelAdmin[Any], request: HttpRequest, queryset: Calls
) -> HttpResponseBase | None:
    """Call again. Asks for confirmation first for calls whose phones may have rung, and for those
    that ring somebody else's phone first.
    """
    calls = list(queryset[: MAX_CALLS + 1])
    if len(calls) > MAX_CALLS:
        text = ngettext(
            "Select no more than %d call at a time.",
            "Select no more than %d calls at a time.",
            MAX_CALLS,
        )
        model_admin.message_user(request, text % MAX_CALLS, messages.WARNING)
        return None
    to_confirm = [call for call in calls if _needs_confirmation(call, request.user)]
    if "confirmed" in request.POST:
        to_confirm = []
    for call in calls:
        if call not in to_confirm:
            place_again(model_admin, request, call)
    return _confirm(model_admin, request, to_confirm) if to_confirm else None


@admin.action(description=_("Export as CSV"), permissions=["view"])
def export_csv(
    model_admin: ModelAdmin[Any], request: HttpRequest, queryset: Calls
) -> HttpResponseBase:
    """The selected calls, newest first. Numbers that the user may not see are masked."""
    everything = request.POST.get("select_across") == "1"
    chosen = len(request.POST.getlist(helpers.ACTION_CHECKBOX_NAME))
    how_many = "all in the list" if everything else str(chosen)
    csv_export.log(request, CallRequest, f"Exported calls as CSV: {how_many}.")
    today = timezone.localdate().isoformat()
    header = [capfirst(str(title)) for title, _value in COLUMNS]
    return csv_export.stream(f"calls-{today}.csv", header, _rows(queryset, request.user))


def live_rows(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponseBase:
    """The requested rows as JSON, or 304 if nothing but the clocks has changed, which the page
    updates itself. With `newest`, also the key of the newest call in progress.
    """
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    given = map(whole_number, request.GET.getlist("id")[:MAX_LIVE_ROWS])
    keys = [key for key in given if key is not None]
    found = model_admin.get_queryset(request).filter(pk__in=keys)
    rows = {str(call.pk): columns.row(call, request.user) for call in found}
    newest = ""
    if "newest" in request.GET:
        calls: Any = model_admin.get_queryset(request)
        still_live = calls.live().order_by("-pk")
        newest = str(still_live.values_list("pk", flat=True).first() or 0)
    without_clocks = {key: {**row, "seconds": None, "length": ""} for key, row in rows.items()}
    etag = weak_etag((without_clocks, newest))
    data = {"rows": rows, **({"newest": int(newest)} if newest else {})}
    response = JsonResponse(data, headers={"ETag": etag})
    return get_conditional_response(request, etag=etag, response=response) or response


def place_again(
    model_admin: ModelAdmin[Any], request: HttpRequest, call: CallRequest
) -> CallRequest | None:
    """Call again, and tell the user. Returns the new call, None if it is refused."""
    user: Any = request.user
    try:
        made = redialing.call_again(call, user)
    except CallRefused as refusal:
        text = gettext("%(call)s: not called again. %(reason)s")
        words = text % {"call": call, "reason": refusal.sentence}
        model_admin.message_user(request, words, messages.ERROR)
        return None
    if made.repeated:
        words, level = gettext("%s: already being called again."), messages.WARNING
    else:
        words, level = gettext("%s: calling again."), messages.SUCCESS
        model_admin.log_change(request, call, f"Called again: call {made.pk}.")
        model_admin.log_addition(request, made, f"Called again, after call {call.pk}.")
    page = admin_url(model_admin.admin_site, "poketalk_callrequest_change", made.pk)
    link = format_html('<a href="{}">{}</a>', page, gettext("View call"))
    parts = filter(None, (words % call, undialed(made), link))
    message = format_html_join(" ", "{}", ((part,) for part in parts))
    model_admin.message_user(request, message, level)
    return made


def _confirm(
    model_admin: ModelAdmin[Any], request: HttpRequest, calls: list[CallRequest]
) -> HttpResponseBase:
    """The confirmation page, which says for each call why its phones may have rung."""
    subjects.load(calls)
    context = {
        "title": gettext("Call again?"),
        "media": model_admin.media,
        "calls": [_to_confirm(call, request.user) for call in calls],
        "may_have_rung": not all(map(redialing.never_rang, calls)),
        "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
    }
    return render_page(model_admin, request, "poketalk/admin/call_again.html", context)


def _to_confirm(call: CallRequest, user: Any) -> dict[str, Any]:
    if call.is_open and call.status is not None:
        why = gettext("It is in progress.")
    elif call.is_open:
        why = gettext("It has not ended: the phones may ring at any time.")
    elif call.talk_time or call.b_answered_at is not None:
        why = gettext("The caller and the callee talked for %s.") % call_status.length(
            call.talk_time
        )
    elif call.a_initiated_at is not None or call.status is not None:
        why = gettext("A phone has rung.")
    elif redialing.never_rang(call):
        why = gettext("No phone rang.")
    else:
        why = gettext("The service may have placed it: it gave no clear answer.")
    whole = permissions.may_see_numbers(user, call)
    return {
        "call": call,
        "from_number": permissions.display_number(call.from_number, whole),
        "to_number": permissions.display_callee(call, whole),
        "phase": call_status.phase(call),
        "state": columns.state(call),
        "why": why,
        "rings": other_phone_sentence(call, user),
        "notice": undialed(call) if whole else "",
    }


def _needs_confirmation(call: CallRequest, user: Any) -> bool:
    if not redialing.never_rang(call):
        return True
    try:
        redialing.check(call, user)
    except CallRefused:
        return False  # it is refused at once
    return bool(other_phone_sentence(call, user))


def other_phone_sentence(call: CallRequest, user: Any) -> str:
    """Whose phone rings first if the user calls again, as a sentence; "" if it is the user's."""
    if caller_phones.is_own(user, call.from_number):
        return ""
    if call.user is None or call.user == user:
        return gettext("A phone that is not yours rings first.")
    name = full_name(call.user)
    return gettext("The phone of %(name)s rings first. The call is recorded as yours.") % {
        "name": name
    }


def _number(call: CallRequest, number: str, user: Any) -> str:
    """E.164, for programs that read the file, or masked."""
    return number if permissions.may_see_numbers(user, call) else numbers.mask(number)


def _extension(call: CallRequest, user: Any) -> str:
    whole = permissions.may_see_numbers(user, call)
    return call.to_extension if whole else "•" * len(call.to_extension)


def _moment(at: Any) -> str:
    """A time in the current time zone, in a format that spreadsheets understand."""
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def _note(call: CallRequest, user: Any) -> str:
    whole = permissions.may_see_numbers(user, call)
    return permissions.display_text(call.wrapped_up.note, whole) if call.wrapped_up else ""


def _follow_up(call: CallRequest, user: Any) -> str:
    """When the user wants to call back, unless that is done."""
    waits = call.follow_up is not None and call.follow_up.done_at is None
    return _moment(call.follow_up.due_at) if waits else ""


def _metadata(call: CallRequest, user: Any) -> str:
    """As JSON, "" without any."""
    data = call.metadata if permissions.may_see_numbers(user, call) else mask_json(call.metadata)
    return as_json(data) if data else ""


# The columns of the CSV file, and a call's value in each for this user.
COLUMNS: tuple[tuple[Any, Callable[[CallRequest, Any], Any]], ...] = (
    (_("call id"), lambda call, user: call.webcallid),
    (_("created"), lambda call, user: _moment(call.created_at)),
    (_("user"), lambda call, user: call.user.get_username() if call.user else ""),
    (_("from"), lambda call, user: _number(call, call.from_number, user)),
    (_("to"), lambda call, user: _number(call, call.to_number, user)),
    (_("extension"), _extension),
    (_("presented number"), lambda call, user: _number(call, call.presented_number, user)),
    (_("about"), lambda call, user: str(call.subject) if call.subject else ""),
    (_("service"), lambda call, user: call.service),
    (_("placement"), lambda call, user: call.get_placement_display()),
    (_("response code"), lambda call, user: call.response_code),
    (_("state"), lambda call, user: call.state),
    (_("why"), columns.reason),
    (_("hang-up cause"), lambda call, user: call.hangup_cause),
    (_("talk time"), lambda call, user: call.talk_time),
    (_("billed time"), lambda call, user: call.duration),
    (_("cost"), lambda call, user: call.cost),
    (_("currency"), lambda call, user: currency_of(call.service)),
    (_("caller answered at"), lambda call, user: _moment(call.a_answered_at)),
    (_("callee answered at"), lambda call, user: _moment(call.b_answered_at)),
    (_("ended"), lambda call, user: _moment(call.ended_at)),
    (_("result"), lambda call, user: call.wrapped_up.label if call.wrapped_up else ""),
    (_("note"), _note),
    (_("Call back at"), _follow_up),
    (_("metadata"), _metadata),
)


def _rows(calls: Calls, user: Any) -> Iterator[list[Any]]:
    calls = calls.select_related("user", "hangup_requested_by").prefetch_related(*RELATED_ROWS)
    for batch in csv_export.batches(calls):
        subjects.load(batch)
        for call in batch:
            yield [value(call, user) for _title, value in COLUMNS]
