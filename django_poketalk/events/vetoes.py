"""Vetoes: the reasons to answer an event with 412, which ends the call.

The built-in reasons require no query. A project can add its own functions in
`POKETALK["VETO_RULES"]`. Each takes the call (a `CallRequest`, updated by the event) and the event
(`protocol.eventurl.Event`), and returns a reason, or "" to let the call continue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.module_loading import import_string

from ..conf import settings
from ..models import CallRequest
from ..protocol.eventurl import Event
from ..shared.logs import get_logger

logger = get_logger(__name__)

Rule = Callable[[CallRequest, Event], str | None]

HANG_UP = "hang-up requested"
MAX_DURATION = "maximum duration"
MAX_COST = "maximum cost"


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts for the built-in reasons: progress, limits, and earlier decisions."""

    duration: int
    cost: Decimal
    max_duration: int
    max_cost: Decimal | None
    hangup_requested: bool = False
    veto_reason: str = ""


def reason(facts: Facts) -> str:
    """Why this call must end, or "". An earlier veto stays in force."""
    if facts.veto_reason:
        return facts.veto_reason
    if facts.hangup_requested:
        return HANG_UP
    if facts.duration >= facts.max_duration:
        return MAX_DURATION
    if facts.max_cost is not None and facts.cost >= facts.max_cost:
        return MAX_COST
    return ""


def reason_of_rules(pk: int, event: Event) -> str:
    """The first reason returned by the project's rules, or "". If a rule raises an exception, it is
    logged and ignored.
    """
    paths = settings.veto_rules
    if not paths:
        return ""
    call = CallRequest.objects.get(pk=pk)
    for path in paths:
        try:
            rule: Rule = import_string(path)
            found = rule(call, event)
        except Exception:
            logger.exception("Call %s: the veto rule %s failed.", pk, path)
            continue
        if found:
            return str(found)[:200]
    return ""
