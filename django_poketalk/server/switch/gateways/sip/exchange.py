"""Third party call control of one call (RFC 3725), in the SIP thread.

Flow IV by default: A is rung with an offer that no media follows from; B is rung without an offer;
B's offer goes to A in a re-INVITE, and A's answer to B in the ACK. Then offers of either phone
(hold, another codec) are passed on. A trunk may ask for early media, where A gets to hear B's
network before B answers, or for flow I, where A is never re-INVITEd.
"""

from __future__ import annotations

import enum
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sippy.CCEvents import (
    CCEventConnect,
    CCEventDisconnect,
    CCEventFail,
    CCEventInfo,
    CCEventPreConnect,
    CCEventRedirect,
    CCEventRing,
    CCEventTry,
    CCEventUpdate,
)
from sippy.MsgBody import MsgBody
from sippy.SipReason import SipReason
from sippy.Time.Timeout import Timeout

from django_poketalk.server.routing.trunk import ANONYMOUS, SipTrunk
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from ..base import LegKey
from . import causes, sdp
from .agent import Agent

if TYPE_CHECKING:
    from .stack import Stack

logger = logging.getLogger(__name__)

NO_REPLY = 6.0  # seconds without any response, after which the trunk counts as down
PENDING = 491  # both ends have sent an offer at once (RFC 3261, section 14.1)
RINGING = 180


class Media(enum.Enum):
    """How far the two phones' media are joined."""

    APART = enum.auto()
    EARLY = enum.auto()  # A is being given what B's network plays
    JOINING = enum.auto()
    JOINED = enum.auto()


class Leg:
    """One attempt to ring one phone: its dialog and what was last said in it."""

    def __init__(self, exchange: Exchange, key: LegKey, trunk: SipTrunk, ring_timeout: int) -> None:
        self.exchange = exchange
        self.key = key
        self.trunk = trunk
        self.answered = False
        self.over = False
        self.offered: str | None = None  # what came with its 200, answer or offer
        self.agreed: Any = None  # our side of the last agreed description
        self._session = random.getrandbits(31)
        self._version = 0
        self.no_reply: Any = None
        self.agent = Agent(
            exchange.stack.config,
            event_cb=exchange.on_event,
            username=trunk.username or None,
            password=trunk.password or None,
            nh_address=(trunk.host, trunk.port),
            dead_cbs=(exchange.on_dead,),
        )
        self.agent.leg = self
        self.agent.ring_timeout = ring_timeout
        self.agent.local_ua = exchange.stack.name

    def body(self, description: str) -> Any:
        """A description as this dialog's next one."""
        self._version += 1
        body = MsgBody(sdp.with_origin(description, self._session, self._version))
        body.needs_update = False
        return body

    def invite(self, number: str, caller: str, offer: str | None) -> None:
        """Ring the phone."""
        shown = self.trunk.shown(caller)
        body = None if offer is None else self.body(offer)
        # Call-ID, calling and called number, body, authorisation, calling name
        name = "Anonymous" if shown == ANONYMOUS else None
        event = CCEventTry((None, shown, self.trunk.dialled(number), body, None, name))
        event.onUacSetupComplete = self._set_domain
        self.no_reply = Timeout(self.exchange.on_no_reply, NO_REPLY, 1, self)
        self.agent.recvEvent(event)

    def _set_domain(self, agent: Any) -> None:
        domain = (
            "anonymous.invalid" if self.trunk.caller_id == ANONYMOUS else self.trunk.from_domain
        )
        if domain:
            agent.lUri.getUrl().host = domain

    def heard(self) -> None:
        """The trunk has said something."""
        if self.no_reply is not None:
            self.no_reply.cancel()
            self.no_reply = None

    def offer(self, description: str) -> None:
        """Send a re-INVITE."""
        self.agent.recvEvent(CCEventUpdate(self.body(description)))

    def accept(self, description: str) -> None:
        """Answer the offer that it has made: in the ACK, or in the 200 to its re-INVITE."""
        self.agent.recvEvent(CCEventConnect((200, "OK", self.body(description))))

    def put_down(self, cause: Cause) -> None:
        """CANCEL or BYE, whichever its state needs."""
        if self.agent.owes_ack:
            self.accept(sdp.black_hole_answer(str(self.agent.rSDP), self.exchange.stack.address))
        event = CCEventDisconnect()
        status = causes.hangup_status(cause)
        event.reason_rfc3326 = SipReason(protocol="SIP", cause=status, reason=cause.value)
        self.agent.recvEvent(event)


class Exchange:
    """A call's legs, and what passes between them."""

    def __init__(self, stack: Stack, over: Callable[[], object]) -> None:
        self.stack = stack
        self._over = over
        self._legs: dict[LegKey, Leg] = {}
        self._agents = 0
        self._media = Media.APART
        self._a: Leg | None = None
        self._b: Leg | None = None
        self._early: str | None = None  # what A was given of B
        self._bridge_wanted = False

    # What the switch wants

    def originate(
        self, key: LegKey, number: str, caller: str, trunk: SipTrunk, ring_timeout: int
    ) -> None:
        """Ring a phone, which is to stop by itself after `ring_timeout` seconds."""
        leg = self._legs[key] = Leg(self, key, trunk, ring_timeout)
        self._agents += 1
        if key.side is Side.A:
            offer = None if trunk.late_offer else sdp.black_hole_offer(self.stack.address)
            leg.invite(number, caller, offer)
            return
        a = next((a for a in self._legs.values() if a.key.side is Side.A and a.answered), None)
        self._a, self._b = a, leg
        offer = None
        if a is not None and a.offered and (a.agent.owes_ack or trunk.early_media):
            offer = sdp.without_direction(a.offered)
        leg.invite(number, caller, offer)

    def bridge(self, key_a: LegKey, key_b: LegKey) -> None:
        """Let the two phones hear each other."""
        a, b = self._legs.get(key_a), self._legs.get(key_b)
        if a is None or b is None or a.over or b.over or b.offered is None:
            return  # one has left meanwhile, which the switch is being told
        self._a, self._b = a, b
        if self._media is Media.EARLY:
            self._bridge_wanted = True  # A's answer is on its way
        elif a.agent.owes_ack:
            a.accept(b.offered)  # flow I
            self._joined()
        elif b.offered == self._early:
            self._joined()
        else:
            self._media = Media.JOINING
            a.offer(b.offered)

    def hang_up(self, key: LegKey, cause: Cause) -> None:
        """Put a phone down, in whatever state it is."""
        if (leg := self._legs.get(key)) and not leg.over:
            leg.over = True
            leg.heard()
            # Later, as this may be asked for by an event: sippy tells those before it sends the
            # ACK that is to go before a BYE.
            Timeout(leg.put_down, 0, 1, cause)

    def close(self) -> None:
        """Put everything down."""
        for key in list(self._legs):
            self.hang_up(key, Cause.SWITCH_STOPPED)

    # What the phones do

    def on_dead(self, agent: Any) -> None:
        """sippy has let go of a dialog: so do we, that Python need not search for what is left."""
        agent.leg = None
        self._agents -= 1
        if not self._agents:
            self._legs.clear()
            self._a = self._b = None
            self._over()

    def on_no_reply(self, leg: Leg) -> None:
        """Nothing at all has come back from the trunk."""
        leg.no_reply = None
        self._fail(leg, 408, None)
        Timeout(leg.put_down, 0, 1, Cause.GATEWAY_DOWN)

    def on_event(self, event: Any, agent: Any) -> None:
        """Something came of a dialog. An error of ours ends that leg; sippy would only print it."""
        leg: Leg = agent.leg
        if leg.over:
            return
        leg.heard()
        try:
            self._take(leg, event)
        except Exception:
            logger.exception("A SIP call is put down after an error.")
            self._lose(leg, Cause.SWITCH_ERROR)

    def _take(self, leg: Leg, event: Any) -> None:
        match event:
            case CCEventRing():
                self._on_ring(leg, event)
            case CCEventFail() | CCEventRedirect():
                self._on_refusal(leg, event)
            case CCEventDisconnect():
                leg.over = True
                _status, q850 = _told(event, 0)
                self.stack.hung_up(leg.key, Cause.NORMAL, 0, q850 or causes.NORMAL_CLEARING)
            case CCEventPreConnect() | CCEventConnect():
                self._on_answer(leg, event)
            case CCEventUpdate():
                self._on_offer(leg, event)
            case CCEventInfo() if self._media is Media.JOINED:
                self._other(leg).agent.recvEvent(event)

    def _on_ring(self, leg: Leg, event: Any) -> None:
        status, _reason, body = event.getData()
        if status >= RINGING and not leg.answered:
            self.stack.ringing(leg.key)
        if body is None or leg is not self._b or not leg.trunk.early_media:
            return
        a = self._a
        if a and not a.over and not a.agent.owes_ack and self._media is Media.APART:
            text = str(body)
            if text != self._early:
                self._early = text
                self._media = Media.EARLY
                a.offer(text)

    def _on_refusal(self, leg: Leg, event: Any) -> None:
        status, q850 = _told(event, event.getData()[0])
        if not leg.answered:
            self._fail(leg, status, q850)
            return
        # It has refused a re-INVITE, and sippy has forgotten what was agreed before.
        leg.agent.lSDP = leg.agreed
        if self._media is Media.JOINED:
            other = self._other(leg)
            if other.agent.owes_answer:  # else it was asked on nobody's wish
                other.agent.recvEvent(CCEventFail(event.getData()[:2]))
        elif self._media is Media.EARLY:
            self._early = None
            self._early_done()
        elif status == PENDING and self._b and self._b.offered:
            Timeout(self._offer_again, random.uniform(2.1, 4.0), 1)  # noqa: S311
        else:
            self._lose(leg, Cause.REJECTED, status, q850)

    def _offer_again(self) -> None:
        a, b = self._a, self._b
        if self._media is Media.JOINING and a and b and b.offered and not a.over and not b.over:
            a.offer(b.offered)

    def _on_answer(self, leg: Leg, event: Any) -> None:
        body = event.getData()[2]
        text = None if body is None else str(body)
        if not leg.answered:
            leg.answered = True
            leg.offered = text
            leg.agreed = leg.agent.lSDP
            if text is None:
                self._lose(leg, Cause.REJECTED, 488)
            else:
                self.stack.answered(leg.key, leg.agent.dialog())
            return
        if text is None:  # as good as a refusal
            self._on_refusal(leg, CCEventFail((488, "Not Acceptable Here")))
        elif leg is self._a and self._media is Media.EARLY:
            self._early_done()
        elif leg is self._a and self._media is Media.JOINING:
            if self._b and self._b.agent.owes_ack:
                self._b.accept(text)
            self._joined()
        elif self._media is Media.JOINED:
            self._pass_on(leg, text, event)

    def _pass_on(self, leg: Leg, text: str, event: Any) -> None:
        other = self._other(leg)
        if event.getData()[0] == "ACK":  # it answers what we offered on its wish
            other.offer(text)
        else:
            other.accept(text)
        leg.agreed, other.agreed = leg.agent.lSDP, other.agent.lSDP

    def _on_offer(self, leg: Leg, event: Any) -> None:
        if self._media is Media.JOINED:
            self._other(leg).offer(str(event.getData()))
        elif leg.agent.lSDP is not None:
            leg.agent.recvEvent(CCEventConnect((200, "OK", leg.agent.lSDP)))
        else:
            leg.agent.recvEvent(CCEventFail((PENDING, "Request Pending")))

    def _early_done(self) -> None:
        self._media = Media.APART
        if self._bridge_wanted and self._a and self._b:
            self._bridge_wanted = False
            self.bridge(self._a.key, self._b.key)

    def _joined(self) -> None:
        self._media = Media.JOINED
        for leg in (self._a, self._b):
            if leg is not None:
                leg.agreed = leg.agent.lSDP

    def _other(self, leg: Leg) -> Leg:
        other = self._b if leg is self._a else self._a
        if other is None or other.over:
            raise RuntimeError("The other phone has left.")
        return other

    def _fail(self, leg: Leg, status: int, q850: int | None) -> None:
        leg.over = True
        self.stack.failed(leg.key, status, causes.q850_of(status, q850))

    def _lose(self, leg: Leg, cause: Cause, status: int = 0, q850: int | None = None) -> None:
        """End a leg from here, and tell the switch as if the phone had been put down."""
        leg.over = True
        Timeout(leg.put_down, 0, 1, cause)
        self.stack.hung_up(leg.key, cause, status, q850 or 0)


def _told(event: Any, status: int) -> tuple[int, int | None]:
    """The SIP status, and the Q.850 cause of the Reason header if there is one (RFC 3326)."""
    reason = event.reason_rfc3326
    if reason is None or (reason.protocol or "").upper() != "Q.850":
        return status, None
    return status, reason.cause if reason.cause in causes.Q850 else None
