"""What ends a call: every reason for which an event is answered with 412.

The built-in reasons need no query. A project adds its own by naming functions in
`POKETALK["VETO_RULES"]`: each takes the call (a `CallRequest`, as the event left it) and the event
(`protocol.eventurl.Event`), and returns a reason, or "" to let it go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.module_loading import import_string

from ..conf import settings
from ..models import CallRequest
from ..protocol.eventurl import Event

logger = logging.getLogger(__name__)

Rule = Callable[[CallRequest, Event], str | None]

HANG_UP = "hang-up requested"
MAX_DURATION = "maximum duration"
MAX_COST = "maximum cost"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the built-in reasons look at: how far the call has come, its limits, and what was
    decided before.
    """

    duration: int
    cost: Decimal
    max_duration: int
    max_cost: Decimal | None
    hangup_requested: bool = False
    veto_reason: str = ""


def reason(facts: Facts) -> str:
    """Why this call must end, or "". What was decided before stays decided."""
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
    """The first reason that one of the project's own rules gives, or "". A rule that fails is
    logged and ends nothing.
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
