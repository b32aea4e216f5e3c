"""A call's life told to people: what happened to the call, to leg A and to leg B, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from ..models import CallRequest, Placement


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened: when, to which leg ("A", "B", "" for the whole call), in words."""

    at: datetime
    leg: str
    text: str


def tell(call: CallRequest) -> list[Step]:
    """The steps we know the time of, earliest first. Times and words only: no query."""
    return sorted(_steps(call), key=lambda step: step.at)


def _steps(call: CallRequest) -> Iterator[Step]:
    # In the order of a call that goes well, so that steps of the same instant stay in it (sorting
    # is stable).
    told = (
        (call.created_at, "", _("The call was requested.")),
        (call.sent_at, "", _("It was sent to the service.")),
        (call.placed_at, "", _answer(call)),
        (call.a_initiated_at, "A", _("The caller's phone rings.")),
        (call.a_answered_at, "A", _("The caller answered.")),
        (call.b_initiated_at, "B", _("The callee's phone rings.")),
        (call.b_answered_at, "B", _("The callee answered. Both are connected.")),
        (call.hangup_requested_at, "", _hang_up(call)),
        (call.ended_at, "", _("The call ended.")),
        (
            call.stale_at,
            "",
            _("No further updates from the service. The call is assumed to have ended."),
        ),
    )
    for at, leg, text in told:
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
