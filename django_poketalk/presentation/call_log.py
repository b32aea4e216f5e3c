"""The log of a call for people: what happened to the call, leg A and leg B, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from ..models import CallRequest, Placement


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to a leg ("A" or "B"), or to the whole call ("")."""

    at: datetime
    leg: str
    text: str


def steps(call: CallRequest) -> list[Step]:
    """The steps whose time is known, earliest first. Makes no query."""
    return sorted(_steps(call), key=lambda step: step.at)


def _steps(call: CallRequest) -> Iterator[Step]:
    # In the usual order, which the stable sort keeps for steps with the same time.
    possible = (
        (call.created_at, "", _("The call was requested.")),
        (call.sent_at, "", _("It was sent to the service.")),
        (call.placed_at, "", _answer(call)),
        (call.a_initiated_at, "A", _("The caller’s phone rings.")),
        (call.a_answered_at, "A", _("The caller answered.")),
        (call.b_initiated_at, "B", _("The callee’s phone rings.")),
        (call.b_answered_at, "B", _("The callee answered. Both are connected.")),
        (call.hangup_requested_at, "", _hang_up(call)),
        (call.ended_at, "", _("The call ended.")),
        (
            call.stale_at,
            "",
            _("No further updates from the service. The call is assumed to have ended."),
        ),
    )
    for at, leg, text in possible:
        if at is not None:
            yield Step(at, leg, text)


def _answer(call: CallRequest) -> str:
    if call.placement == Placement.REJECTED:
        return _("The service refused it.")
    return _("The service accepted it.")


def _hang_up(call: CallRequest) -> str:
    if call.placement == Placement.CANCELLED:
        return _("It was canceled before it was sent.")
    return _("Hang-up requested.")
