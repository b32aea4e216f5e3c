"""One attempt to ring one phone over SIP. Only used in the SIP thread."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventTry, CCEventUpdate
from sippy.MsgBody import MsgBody
from sippy.SipReason import SipReason
from sippy.Time.Timeout import Timeout

from django_poketalk.server.routing.trunk import ANONYMOUS, SipTrunk
from django_poketalk.server.switch.machine.facts_and_commands import Cause

from ..base import LegKey
from . import causes, sdp
from .user_agent import UserAgent

NO_REPLY = 6.0  # seconds without any response after which the trunk counts as down


class SipLeg:
    """A dialog and its media descriptions."""

    def __init__(self, key: LegKey, trunk: SipTrunk, agent: UserAgent) -> None:
        self.key = key
        self.trunk = trunk
        self.agent = agent
        self.answered = False
        self.ended = False
        self.description: str | None = None  # from its 200: an answer or an offer
        self._session = random.getrandbits(31)
        self._version = 0
        self._no_reply: Any = None

    def invite(
        self, number: str, caller: str, offer: str | None, on_no_reply: Callable[[], None]
    ) -> None:
        """Ring the phone."""
        caller_id = self.trunk.caller_id_for(caller, number)
        body = None if offer is None else self._body(offer)
        # Call-ID, calling and called number, body, authorization, calling name
        name = "Anonymous" if caller_id == ANONYMOUS else None
        event = CCEventTry((None, caller_id, self.trunk.dial_string(number), body, None, name))
        event.onUacSetupComplete = partial(self._set_from_domain, caller_id)

        def expire() -> None:
            self._no_reply = None
            on_no_reply()

        self._no_reply = Timeout(expire, NO_REPLY, 1)
        self.agent.recvEvent(event)

    def got_reply(self) -> None:
        """The trunk has responded: cancel the timeout."""
        if self._no_reply is not None:
            self._no_reply.cancel()
            self._no_reply = None

    def offer(self, description: str) -> None:
        """Send a re-INVITE."""
        self.agent.recvEvent(CCEventUpdate(self._body(description)))

    def answer(self, description: str) -> None:
        """Answer the phone's offer: in the ACK, or in the 200 to its re-INVITE."""
        self.agent.recvEvent(CCEventConnect((200, "OK", self._body(description))))

    def hang_up(self, cause: Cause) -> None:
        """Send CANCEL or BYE, depending on the state."""
        self.ended = True
        self.got_reply()
        if self.agent.owes_ack:
            address = self.agent.global_config["_sip_address"]
            self.answer(sdp.black_hole_answer(str(self.agent.rSDP), address))
        event = CCEventDisconnect()
        status = causes.hangup_status(cause)
        event.reason_rfc3326 = SipReason(protocol="SIP", cause=status, reason=cause.value)
        self.agent.recvEvent(event)

    def _body(self, description: str) -> Any:
        self._version += 1
        body = MsgBody(sdp.with_origin(description, self._session, self._version))
        body.needs_update = False
        return body

    def _set_from_domain(self, caller_id: str, agent: Any) -> None:
        is_anonymous = caller_id == ANONYMOUS
        domain = "anonymous.invalid" if is_anonymous else self.trunk.from_domain
        if domain:
            agent.lUri.getUrl().host = domain
