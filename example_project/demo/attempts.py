"""A running case: the call is placed as users place calls, watched in the database of both sides,
and compared with the expected outcome when it ends.
"""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal

import requests
from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from contacts.models import Contact
from django_poketalk.calls import redialing, requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallRequest
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.server.models import Call
from django_poketalk.tasks import place_call

from .cases import Case, Moment, Outcome
from .visitor import Visitor

PATIENCE = 40.0  # seconds within which a call must have ended
NEVER_MADE = {*redialing.UNSENT}


class Attempt:
    """A case and its call request. `keys` maps account names to API keys."""

    def __init__(self, case: Case, keys: dict[str, str], visitor: Visitor) -> None:
        self.case = case
        self.seen = ""
        self._started = time.monotonic()
        self.seconds = 0.0
        self._hang_up_requested = False
        try:
            self._pk = self._place(keys, visitor)
        except (CallRefused, LookupError, requests.RequestException) as error:
            self.seen = f"not placed: {error}"

    def look(self) -> bool:
        """Check the call, and hang up when the case says so. True if the call has ended."""
        if self.seen:
            return True
        call = CallRequest.objects.get(pk=self._pk)
        if self._is_moment(call):
            self._hang_up_requested = True
            requesting.hang_up(call)
            call.refresh_from_db()
        served = Call.objects.filter(custom=call.webcallid).first()
        over = call.placement in NEVER_MADE or (
            call.placed_at is not None
            and call.ended_at is not None
            and served is not None
            and served.state == Call.State.ENDED
        )
        self.seconds = time.monotonic() - self._started
        if not over and self.seconds < PATIENCE:
            return False
        self.seen = self._judge(call, served) if over else f"not over: {call.state}"
        return True

    def _place(self, keys: dict[str, str], visitor: Visitor) -> int:
        case = self.case
        if case.by_button:
            contact = Contact.objects.get_or_create(
                phone=case.to_number, defaults={"name": "Check"}
            )[0]
            return visitor.press_call(contact.get_absolute_url())
        if case.key_of is not None:
            return self._place_here(keys.get(case.key_of, case.key_of))
        later = timezone.now() + timedelta(hours=1) if case.hang_up is Moment.WAITING else None
        call = requesting.request_call(
            from_number=case.from_number,
            to_number=case.to_number,
            max_duration=case.max_duration,
            max_cost=case.max_cost,
            not_before=later,
        )
        return call.pk

    def _place_here(self, key: str) -> int:
        """Run the task in this process, for an order that `request_call` would refuse, or with
        another key.
        """
        call = CallRequest.objects.create(
            from_number=self.case.from_number,
            to_number=self.case.to_number,
            max_duration=60,
            expires_at=timezone.now() + timedelta(minutes=1),
        )
        changes = {"API_KEY": key, "ALLOWED_COUNTRIES": None}  # a number may be missing
        with override_settings(POKETALK={**settings.POKETALK, **changes}):
            place_call(call.pk)
        return call.pk

    def _is_moment(self, call: CallRequest) -> bool:
        if self._hang_up_requested:
            return False
        match self.case.hang_up:
            case Moment.WAITING:
                return True
            case Moment.RINGING_A:
                return call.status == CallStatus.A_INITIATED
            case Moment.RINGING_B:
                return call.status == CallStatus.B_INITIATED
            case Moment.TALKING:
                return call.status == CallStatus.B_ANSWERED
            case None:
                return False

    def _judge(self, call: CallRequest, served: Call | None) -> str:
        """The outcome as text, with every fact on which the two sides disagree."""
        outcome = Outcome(
            call.placement,
            call.response_code,
            None if call.status is None else CallStatus(call.status),
            served.hangup_cause if served else "",
            call.veto_reason,
        )
        return "; ".join([str(outcome), *_disagreements(call, served)])


def _disagreements(call: CallRequest, served: Call | None) -> list[str]:
    if served is None:
        return []
    if call.placement in NEVER_MADE:
        return ["and yet the service made a call"]
    found = []
    if call.status != served.status:
        found.append(f"status {served.status} at the service")
    if (call.duration or 0) != served.duration:
        found.append(f"{call.duration} s here, {served.duration} s at the service")
    charged = -sum((entry.amount for entry in served.entries.all()), Decimal(0))
    if not call.cost == served.cost == charged:
        found.append(f"cost {call.cost} here, {served.cost} there, {charged} in the ledger")
    return found
