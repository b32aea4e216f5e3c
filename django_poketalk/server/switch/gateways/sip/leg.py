"""One attempt to ring one phone over SIP. Only used in the SIP thread."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventTry, CCEventUpdate
from sippy.MsgBody import MsgBody
from sippy.SipCallId import SipCallId
from sippy.SipReason import SipReason
from sippy.Time.Timeout import Timeout

from django_poketalk.server.routing.trunk import ANONYMOUS, SipTrunk
from django_poketalk.server.switch.machine.facts_and_commands import Cause

from ..base import LegKey
from . import causes, sdp
from .addresses import Address
from .identity import Invitation
from .user_agent import UserAgent

FIRST_CSEQ = 1
NO_REPLY = 6.0  # seconds without any response after which the trunk counts as down


class SipLeg:
    """A dialog and its media descriptions.

    `address` is that of the trunk. `try_next` originates the leg again through its next address.
    """

    def __init__(self, key: LegKey, trunk: SipTrunk, address: Address, agent: UserAgent) -> None:
        self.key = key
        self.trunk = trunk
        self.address = address
        self.try_next: Callable[[], object] | None = None
        self.agent = agent
        self.has_rung = False
        self.answered = False
        self.ended = False
        self.description: str | None = None  # from its 200: an answer or an offer
        self._session = random.getrandbits(31)
        self._version = 0
        self._no_reply: Any = None
        self._no_progress: Any = None

    def invite(
        self, invitation: Invitation, offer: str | None, on_no_progress: Callable[[], None]
    ) -> None:
        """Ring the phone. `on_no_progress` is called if the trunk does not respond, or only with
        100 until the progress timeout.
        """
        caller_id = invitation.caller
        body = None if offer is None else self._body(offer)
        # Call-ID, calling and called number, body, authorization, calling name
        name = "Anonymous" if caller_id == ANONYMOUS else None
        call_id = SipCallId(invitation.call_id_at(self.address))
        event = CCEventTry((call_id, caller_id, invitation.number, body, None, name))
        event.onUacSetupComplete = partial(self._set_up, caller_id)
        self._no_reply = Timeout(on_no_progress, NO_REPLY, 1)
        self._no_progress = Timeout(on_no_progress, self.trunk.progress_timeout, 1)
        self.agent.recvEvent(event)

    @property
    def has_replied(self) -> bool:
        """Whether the trunk has responded in time."""
        return self._no_reply is None

    def got_reply(self, *, is_progress: bool) -> None:
        """The trunk has responded: cancel the timeouts. Without progress, it was only 100."""
        if self._no_reply is not None:
            self._no_reply.cancel()
            self._no_reply = None
        if self._no_progress is not None and is_progress:
            self._no_progress.cancel()
            self._no_progress = None

    def offer(self, description: str) -> None:
        """Send a re-INVITE."""
        self.agent.recvEvent(CCEventUpdate(self._body(description)))

    def answer(self, description: str) -> None:
        """Answer the phone's offer: in the ACK, or in the 200 to its re-INVITE."""
        self.agent.recvEvent(CCEventConnect((200, "OK", self._body(description))))

    def hang_up(self, cause: Cause) -> None:
        """Send CANCEL or BYE, depending on the state."""
        self.ended = True
        self.got_reply(is_progress=True)
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

    def _set_up(self, caller_id: str, agent: Any) -> None:
        agent.lCSeq = FIRST_CSEQ
        if domain := self.trunk.domain_for(caller_id):
            agent.lUri.getUrl().host = domain
