"""The template context of a call's page in the admin: facts, timeline and events."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import permissions
from ..calls.service_extensions import undialed
from ..conf import aliases
from ..models import CallEvent, CallRequest, Placement, Status
from ..presentation import call_status, ending, event_kinds, hangup_causes, sent_request, timeline
from ..presentation.event_kinds import Kind, ReceivedEvent
from ..presentation.people import full_name
from ..presentation.timeline import Stage
from ..protocol.codes import HTTP_HANG_UP, CallStatus

MOST_EVENTS = 250  # on one page: four hours of ticks

STAGES: dict[Stage, str | Promise] = {
    Stage.WAITING: gettext_lazy("waiting"),
    Stage.SENDING: gettext_lazy("requesting"),
    Stage.RINGING: gettext_lazy("ringing"),
    Stage.ANSWERED: gettext_lazy("answered"),
    Stage.TALKING: gettext_lazy("talking"),
    Stage.ENDED: gettext_lazy("ended"),
}
LANES: dict[str, str | Promise] = {
    "request": gettext_lazy("Request"),
    "a": gettext_lazy("Caller"),
    "b": gettext_lazy("Callee"),
}
KINDS: dict[Kind, str | Promise] = {
    Kind.CHANGE: gettext_lazy("new"),
    Kind.TICK: gettext_lazy("tick"),
    Kind.REPEATED: gettext_lazy("repeated"),
    Kind.LATE: gettext_lazy("late or out of order"),
}
Link = Callable[[Any], str]
LETTER = 7.2  # the width of a letter, in units of the timeline


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact: a text, a time, or a code that is always written from left to right."""

    label: str
    text: str = ""
    url: str = ""
    at: datetime | None = None
    is_code: bool = False


def call_detail_context(
    call: CallRequest,
    user: Any,
    now: datetime,
    events: list[CallEvent],
    older: CallEvent | None,
    page: Link,
) -> dict[str, Any]:
    """The context of the parts that change while a call is open.

    `events` are the newest events in the order in which they were received. `older` is the event
    before them, if there are more. `page` is the URL of an object's page, "" without one.
    """
    whole = permissions.may_see_numbers(user, call)
    numbers = [
        permissions.display_number(call.from_number, whole),
        permissions.display_callee(call, whole),
    ]
    received = [_received(event, whole) for event in events]
    previous = _received(older, whole) if older else None
    picture = timeline.draw(facts_of(call), received, now, previous)
    may_see_events = permissions.may_see_events(user, call)
    if not may_see_events:
        picture = dataclasses.replace(picture, gaps=(), height=picture.events_y + timeline.MARGIN)
    return {
        "call": call,
        "phase": call_status.phase(call),
        "state": call_status.heading(call),
        "is_scheduled": call_status.waits_for_its_time(call),
        "next": max(0, round((call.rings_at - now).total_seconds()) - call_status.BEFORE_DUE)
        if call.is_open
        else 0,
        "advice": advice(call),
        "undialed": undialed(call) if call.is_open and whole else "",
        "from_number": numbers[0],
        "to_number": numbers[1],
        "may_hang_up": permissions.may_hang_up_now(user, call),
        "may_resolve": call.placement == Placement.UNKNOWN and permissions.may_resolve(user, call),
        "cost": call_status.cost(call.cost, call.service),
        "length": call_status.length(call.talk_time) if call.talk_time else "",
        "picture": picture,
        "lanes": list(_lanes(call, picture)),
        "nothing": _nothing(call),
        "marks": [(mark, _mark_in_words(mark)) for mark in picture.marks],
        "gaps": [(gap, _gap_in_words(gap)) for gap in picture.gaps],
        "cost_points": " ".join(f"{x},{y}" for x, y in picture.cost_steps),
        "total": call_status.cost(picture.total, call.service),
        "summary": summary(call, picture),
        "groups": list(groups(call, numbers, whole, page)),
        "ended_by": ending.ended_by(call, user),
        "may_see_events": may_see_events,
        "cost_end": picture.cost_steps[-1][0] if picture.cost_steps else picture.left,
    }


def facts_of(call: CallRequest) -> timeline.Facts:
    """The call's times, for the timeline."""
    return timeline.Facts(
        created_at=call.created_at,
        sent_at=call.sent_at,
        placed_at=call.placed_at,
        a_initiated_at=call.a_initiated_at,
        a_answered_at=call.a_answered_at,
        b_initiated_at=call.b_initiated_at,
        b_answered_at=call.b_answered_at,
        over_at=call.ended_at or call.stale_at or _closed_at(call),
        is_open=call.is_open,
    )


def _closed_at(call: CallRequest) -> datetime | None:
    """When a call that never rang was cancelled or expired. None for all other calls."""
    if call.placement == Placement.CANCELLED:
        return call.hangup_requested_at
    return call.expires_at if call.placement == Placement.EXPIRED else None


def advice(call: CallRequest) -> str:
    """A sentence that explains the state, or "" if it needs no explanation."""
    if call.placement == Placement.UNKNOWN and call.status is None:
        return _(
            "The service gave no clear answer, so the phones may or may not ring. The request"
            " is never sent again automatically."
        )
    if call.is_open and call.hangup_requested_at is not None:
        if call_status.is_service_asked(call):
            return _("Hanging up …")
        return _("Hanging up … The call ends at the service’s next report, within a minute.")
    if call.placement == Placement.REJECTED:
        return hangup_causes.refused(call)
    return call_status.waiting(call)


def summary(call: CallRequest, picture: timeline.Picture) -> str:
    """A short text alternative for the timeline."""
    parts = [capfirst(call.state)]
    for lane in picture.lanes:
        stages = [
            _span_in_words(call, span) for span in lane.spans if span.stage is not Stage.ENDED
        ]
        parts.append(f"{LANES[lane.name]}: {', '.join(stages) or _nothing(call)}")
    missing = sum(gap.missing for gap in picture.gaps)
    if count := len(picture.marks):
        parts.append(ngettext("%d event", "%d events", count) % count)
    if missing:
        parts.append(ngettext("%d tick missing", "%d ticks missing", missing) % missing)
    return ". ".join(parts) + "."


def rows(events: list[CallEvent], older: CallEvent | None, whole: bool) -> list[dict[str, Any]]:
    """The rows of the table of events, newest first. Numbers are masked unless `whole`."""
    received = [_received(event, whole) for event in events]
    kinds = event_kinds.classify(received, _received(older, whole) if older else None)
    oldest_first = [
        {
            "event": event,
            "kind": kind,
            "kind_in_words": KINDS[kind],
            "reason": permissions.display_text(event.reason, whole),
            "is_refused": event.answer == HTTP_HANG_UP,
        }
        for event, kind in zip(events, kinds, strict=True)
    ]
    return oldest_first[::-1]


def request_and_answer(call: CallRequest, user: Any) -> dict[str, Any]:
    """The request that was sent to the service, without secrets, and the answer."""
    whole = permissions.may_see_numbers(user, call)
    try:
        sent, problem = sent_request.request_of(call, whole), ""
    except ImproperlyConfigured as error:
        sent, problem = None, str(error)
    return {
        "sent": sent,
        "sent_problem": problem,
        "was_sent": call.sent_at is not None,
        "answer": permissions.display_text(call.response_detail, whole),
    }


def groups(
    call: CallRequest, numbers: list[str], whole: bool, page: Link
) -> Iterator[tuple[str, list[Fact]]]:
    """The facts, in groups with a title. Unknown facts are left out."""
    deleted = _("deleted")
    who = [
        Fact(_("Caller’s phone"), numbers[0] or deleted, is_code=True),
        Fact(_("Callee’s phone"), numbers[1] or deleted, is_code=True),
        Fact(
            _name(call, "presented_number"),
            permissions.display_number(call.presented_number, whole),
            is_code=True,
        ),
        Fact(_("User"), full_name(call.user), url=page(call.user) if call.user else ""),
        Fact(
            _("About"),
            str(call.subject) if call.subject else "",
            url=page(call.subject) if call.subject else "",
        ),
    ]
    how = [
        _fact(call, "status", f"{call.status} {call.get_status_display()}", call.status),
        Fact(
            _("Talk time"),
            call_status.length(call.talk_time) if call.talk_time or call.b_answered_at else "",
        ),
        _fact(call, "duration", call_status.length(call.duration), call.duration),
        _fact(call, "cost", call_status.cost(call.cost, call.service)),
        *_times(call, "a_initiated_at", "a_answered_at", "b_initiated_at", "b_answered_at"),
        *_times(call, "ended_at", "stale_at", "last_event_at"),
        Fact(_name(call, "hangup_cause"), hangup_causes.in_words(call)),
    ]
    request = [
        Fact(_name(call, "service"), _service(call), is_code=True),
        _fact(call, "placement", call.get_placement_display()),
        Fact(_name(call, "webcallid"), call.webcallid, is_code=True),
        Fact(_name(call, "reference"), call.reference, is_code=True),
        *_times(call, "created_at", "not_before", "expires_at", "sent_at"),
        _fact(call, "attempts", str(call.attempts), call.attempts),
        *_times(call, "placed_at"),
        _fact(call, "response_code", call.get_response_code_display()),
    ]
    limits = [
        _fact(call, "max_duration", call_status.length(call.max_duration)),
        Fact(
            _name(call, "max_cost"),
            call_status.cost(call.max_cost, call.service)
            if call.max_cost is not None
            else _("no limit"),
        ),
        *_times(call, "hangup_requested_at"),
        _fact(call, "hangup_requested_by", full_name(call.hangup_requested_by)),
        _fact(call, "veto_reason", permissions.display_text(call.veto_reason, whole)),
    ]
    for title, facts in (
        (_("People"), who),
        (_("The call"), how),
        (_("The request"), request),
        (_("Limits and end"), limits),
    ):
        known = [fact for fact in facts if fact.text or fact.at]
        if known:
            yield title, known


def _service(call: CallRequest) -> str:
    """The call's service, or "" if there is only one."""
    return "" if aliases() == [call.service] else call.service


def _fact(call: CallRequest, field: str, text: str, given: Any = True) -> Fact:
    return Fact(_name(call, field), text if given is not None and given != 0 else "")


def _times(call: CallRequest, *fields: str) -> Iterable[Fact]:
    return [Fact(_name(call, field), at=getattr(call, field)) for field in fields]


def _name(call: CallRequest, field: str) -> str:
    return capfirst(str(call._meta.get_field(field).verbose_name))  # type: ignore[union-attr]


def _received(event: CallEvent, whole: bool) -> ReceivedEvent:
    return ReceivedEvent(
        at=event.received_at,
        status=CallStatus(event.status),
        duration=event.duration,
        cost=event.cost,
        answer=event.answer,
        reason=permissions.display_text(event.reason, whole),
        pk=event.pk,
    )


def _lanes(
    call: CallRequest, picture: timeline.Picture
) -> Iterator[tuple[timeline.Lane, str, list[Any]]]:
    """Each lane, its name, and its spans, each with the text that fits in and the full text."""
    for lane in picture.lanes:
        spans = []
        for span in lane.spans:
            words = _span_in_words(call, span)
            tries = (words, _stage_in_words(call, span.stage))
            fitting = next((each for each in tries if len(each) * LETTER < span.width), "")
            spans.append((span, "" if span.stage is Stage.ENDED else fitting, words))
        yield lane, str(LANES[lane.name]), spans


def _span_in_words(call: CallRequest, span: timeline.Span) -> str:
    stage = _stage_in_words(call, span.stage)
    if span.stage is Stage.ENDED or not span.seconds:
        return stage
    return f"{stage} {call_status.length(span.seconds)}"


def _stage_in_words(call: CallRequest, stage: Stage) -> str:
    if stage is Stage.SENDING and call.placement == Placement.UNKNOWN:
        return _("no clear answer")
    return str(STAGES[stage])


def _nothing(call: CallRequest) -> str:
    """The text for an empty lane: whether it is certain that the phone did not ring."""
    if call.is_open or call.placement in (Placement.ACCEPTED, Placement.UNKNOWN):
        return _("no report")
    return _("did not ring")


def _mark_in_words(mark: timeline.Mark) -> str:
    event = mark.event
    parts = [f"{event.status.value} {Status(event.status).label}", str(KINDS[mark.kind])]
    if event.duration is not None:
        parts.append(call_status.length(event.duration))
    if event.cost:
        parts.append(call_status.cost(event.cost))
    answered = _("answered %(code)d") % {"code": event.answer}
    parts.append(f"{answered}: {event.reason}" if event.reason else answered)
    return " · ".join(parts)


def _gap_in_words(gap: timeline.Gap) -> str:
    return ngettext("%d tick missing", "%d ticks missing", gap.missing) % gap.missing
