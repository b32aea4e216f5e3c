"""The live board: all calls that go on and that the user may see, with the counts of the day.

Pages ask every 2 seconds for each watcher. So whether anything has changed is decided by one small
query (`version`), and the counts of the day are kept in Django's cache for some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Max, Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from .. import permissions
from ..calls import subjects
from ..calls.currencies import common_currency
from ..conf import settings
from ..models import CallRequest
from ..models.calls import CallRequestQuerySet
from ..reports import counting
from ..shared.etags import weak_etag
from ..shared.periods import Period
from . import call_status
from .people import full_name

MOST_ROWS = 200  # the newest live calls on one board
COUNTED_FOR = 15  # seconds for which the counts of the day are kept
REDRAWN_AFTER = 60  # seconds after which an unchanged board is sent again, with names and day

Link = Callable[[Any], str]  # the URL of a call, or of an object that calls are about; "" for none


@dataclass(frozen=True, slots=True)
class Row:
    """A live call for display. `seconds` is how long both have been talking, or else how long the
    call has been on its way. URLs and texts are "" if there are none.
    """

    call: CallRequest
    phase: str
    state: str
    user: str
    number: str
    subject: str
    subject_url: str
    url: str
    seconds: int
    cost: str
    hang_up_url: str


def live_calls(user: Any) -> CallRequestQuerySet:
    """The live calls that this user may see. Scheduled ones are not live."""
    visible = permissions.visible_calls(user)
    if not settings.visible_calls:
        return visible.live()
    return CallRequest.objects.live().filter(pk__in=visible.values("pk"))


def version(user: Any, now: datetime) -> str:
    """The ETag of the board for this user. Every change of a live call changes one of these sums
    and times; clocks do not, since the page lets them tick itself.
    """
    facts = live_calls(user).aggregate(
        calls=Count("pk"),
        keys=Sum("pk"),
        statuses=Sum("status"),
        durations=Sum("duration"),
        costs=Sum("cost"),
        attempts=Sum("attempts"),
        placed=Count("placed_at"),
        requested=Count("hangup_requested_at"),
        last_event=Max("last_event_at"),
    )
    may = (
        permissions.may_see_all(user),
        permissions.may_see_numbers(user),
        permissions.may_hang_up_any(user),
    )
    reader = (user.pk, may, get_language())
    return weak_etag((facts, reader, int(now.timestamp()) // REDRAWN_AFTER, counts(user, now)))


def board(user: Any, now: datetime, *, call: Link, subject: Link, hang_up: Link) -> dict[str, Any]:
    """The template context of the board. The functions return the URLs for its links."""
    newest = live_calls(user).select_related("user").order_by("-pk")[: MOST_ROWS + 1]
    calls = list(newest)
    displayed = calls[:MOST_ROWS]
    subjects.load(displayed)
    return {
        "rows": [_row(each, user, now, call, subject, hang_up) for each in displayed],
        "is_cut": len(calls) > MOST_ROWS,
        "counts": counts(user, now),
        "now": now,
    }


def on_page(user: Any, back: str) -> dict[str, Any]:
    """The board on a project's own page. Pages of calls link back to the page `back`."""
    return board(
        user,
        timezone.now(),
        call=lambda call: call_status.with_way_back(reverse("poketalk:call", args=[call.pk]), back),
        subject=lambda subject: _subject_url(user, subject),
        hang_up=lambda call: reverse("poketalk:hang-up", args=[call.pk]),
    )


def counts(user: Any, now: datetime) -> list[tuple[str, str]]:
    """What happened today, in the current time zone: labels and figures."""
    today = timezone.localdate(now)
    everyone = permissions.may_see_totals(user)
    whose = "all" if everyone else user.pk
    key = f"poketalk:day:{whose}:{today}:{timezone.get_current_timezone_name()}"
    figures = cache.get(key)
    if figures is None:
        calls = CallRequest.objects.all() if everyone else permissions.visible_calls(user)
        day = Period(today, today)
        total = counting.brief_total(calls, [(day.begins, day.ends)])
        figures = (total.calls, total.answered, int(total.talk.total_seconds()), total.spend)
        cache.set(key, figures, COUNTED_FOR)
    calls_today, answered, talk, spend = figures
    cost = call_status.cost(spend) or number_format(0, 2)
    return [
        (_("Calls today"), number_format(calls_today, force_grouping=True)),
        (_("Connected"), number_format(answered, force_grouping=True)),
        (_("Talk time"), call_status.length(talk)),
        (_("Cost"), f"{cost} {common_currency()}".strip()),
    ]


def _row(
    call: CallRequest, user: Any, now: datetime, page: Link, about: Link, hang_up: Link
) -> Row:
    phase = call_status.phase(call)
    since = call.b_answered_at or call.sent_at or call.created_at
    whole = permissions.may_see_numbers(user, call)
    subject = call.subject
    return Row(
        call=call,
        phase=phase,
        state=_("Hanging up") if phase == "ending" else capfirst(call.state),
        user=full_name(call.user),
        number=permissions.display_callee(call, whole),
        subject="" if subject is None else str(subject),
        subject_url="" if subject is None else about(subject),
        url=page(call),
        seconds=max(0, int((now - since).total_seconds())),
        cost=call_status.column_cost(call.cost),
        hang_up_url=hang_up(call) if permissions.may_hang_up_now(user, call) else "",
    )


def _subject_url(user: Any, subject: Any) -> str:
    """The object's own page, if it has one and the user may see the object."""
    get_absolute_url = getattr(subject, "get_absolute_url", None)
    if get_absolute_url is None or not permissions.may_call_about(user, subject):
        return ""
    return str(get_absolute_url())
