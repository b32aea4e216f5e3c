"""Hangup causes in words."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..switch.machine.facts_and_commands import Cause

WORDS = {
    Cause.NORMAL: _("normal"),
    Cause.BUSY: _("busy"),
    Cause.NO_ANSWER: _("no answer"),
    Cause.DECLINED: _("declined"),
    Cause.UNALLOCATED: _("unallocated number"),
    Cause.REJECTED: _("rejected by the network"),
    Cause.GATEWAY_DOWN: _("gateway down"),
    Cause.OTHER_LEG: _("the other leg ended"),
    Cause.NO_GATEWAY: _("no gateway"),
    Cause.NO_RATE: _("no rate"),
    Cause.NO_FUNDS: _("no funds"),
    Cause.MAX_DURATION: _("maximum duration reached"),
    Cause.QUEUE_TIMEOUT: _("queue timeout"),
    Cause.VETOED: _("vetoed by the customer"),
    Cause.HANG_UP_REQUESTED: _("hang-up requested"),
    Cause.SWITCH_STOPPED: _("switch stopped"),
    Cause.SWITCH_LOST: _("switch lost"),
    Cause.SWITCH_ERROR: _("switch error"),
}


class HangupCauseColumn:
    """Adds `cause` to the admin of rows with a hangup cause."""

    @admin.display(description=_("hang-up cause"))
    def cause(self, row: Any) -> Any:
        """The cause in words, or as it is stored if it is not in `WORDS`."""
        return WORDS.get(row.hangup_cause, row.hangup_cause)
