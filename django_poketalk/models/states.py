"""The states of a call: the placement of our request and the status of the call, with labels."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_lazy as _

from ..protocol.codes import CallStatus, ResponseCode


class Placement(models.TextChoices):
    """What happened to our request to the service."""

    QUEUED = "queued", _("waiting")
    SENDING = "sending", _("being sent")
    ACCEPTED = "accepted", _("accepted")
    REJECTED = "rejected", _("refused by the service")
    UNKNOWN = "unknown", _("outcome unknown")
    CANCELLED = "cancelled", _("canceled")
    EXPIRED = "expired", _("expired")
    FAILED = "failed", _("service unreachable")
    FORBIDDEN = "forbidden", _("not allowed")


class Status(models.IntegerChoices):
    """The protocol's call status, with labels."""

    UNKNOWN = CallStatus.UNKNOWN, _("unknown")
    A_INITIATED = CallStatus.A_INITIATED, _("calling the caller")
    A_FAILED = CallStatus.A_FAILED, _("caller not reached")
    A_ANSWERED = CallStatus.A_ANSWERED, _("caller answered")
    A_DISCONNECTED = CallStatus.A_DISCONNECTED, _("ended before the callee answered")
    B_INITIATED = CallStatus.B_INITIATED, _("calling the callee")
    B_FAILED = CallStatus.B_FAILED, _("callee not reached")
    B_ANSWERED = CallStatus.B_ANSWERED, _("connected")
    AB_DISCONNECTED = CallStatus.AB_DISCONNECTED, _("ended after talking")


# The label of each response code: the code and its meaning.
ANSWERS: dict[str, str | Promise] = {
    code.value: format_lazy("{} {}", code.value, gettext_lazy(code.meaning))
    for code in ResponseCode
}


class ManualResolution(models.TextChoices):
    """The outcome that a person enters for a call to which the service gave no clear answer."""

    RANG = "rang", _("It rang.")
    NEVER_RANG = "never_rang", _("It did not ring.")
    OVER = "over", _("It rang, and has ended.")


# The column that stores when each status was first reported. Status 0 has none, because it only
# reports that something is wrong.
STAGES: dict[CallStatus, str] = {
    CallStatus.A_INITIATED: "a_initiated_at",
    CallStatus.A_ANSWERED: "a_answered_at",
    CallStatus.B_INITIATED: "b_initiated_at",
    CallStatus.B_ANSWERED: "b_answered_at",
    CallStatus.A_FAILED: "ended_at",
    CallStatus.A_DISCONNECTED: "ended_at",
    CallStatus.B_FAILED: "ended_at",
    CallStatus.AB_DISCONNECTED: "ended_at",
}

# Until when events count after the reported end, and after the maximum duration: services repeat
# the final event for a day, with pauses of up to an hour, and send all others once. Silence is not
# an end: a call may go on while its events cannot reach the site.
GRACE: dict[bool, timedelta] = {
    True: timedelta(hours=25),
    False: timedelta(hours=1),
}  # by `CallStatus.is_final`

# The call has neither ended nor been refused, as far as is known.
OPEN_PLACEMENTS = [Placement.QUEUED, Placement.SENDING, Placement.ACCEPTED, Placement.UNKNOWN]
IS_OPEN = models.Q(placement__in=OPEN_PLACEMENTS, ended_at=None, stale_at=None)
# The same, to find open calls: PostgreSQL knows how few these are, and reads their index.
OPEN_BY_INDEX = IS_OPEN & models.Q(final_status=0)
