"""Third party call control of one call (RFC 3725). Only used in the SIP thread.

Flow IV by default: the INVITE to A contains an offer without usable media, the INVITE to B no
offer. B's offer goes to A in a re-INVITE, and A's answer to B in the ACK. After that, offers of
either phone (hold, another codec) are forwarded. A trunk may be configured for early media, where A
hears B's network before B answers, or for flow I, where A never gets a re-INVITE.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from sippy.CCEvents import (
    CCEventConnect,
    CCEventDisconnect,
    CCEventFail,
    CCEventInfo,
    CCEventPreConnect,
    CCEventRedirect,
    CCEventRing,
    CCEventUpdate,
)
from sippy.Time.Timeout import Timeout

from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Failed,
    HungUp,
    Ringing,
    Side,
)
from django_poketalk.shared.logs import get_logger

from ..base import LegKey, Report
from . import causes, sdp
from .addresses import Address
from .dialog_checks import GONE, DialogChecks
from .identity import Invitation
from .info import DigitSender
from .leg import SipLeg
from .user_agent import UserAgent

logger = get_logger(__name__)

REQUEST_PENDING = 491  # both ends have sent an offer at the same time (RFC 3261, section 14.1)
TRYING = 100
RINGING = 180
NO_PROGRESS = 408  # the status of an attempt that is canceled because nothing rings
UNAVAILABLE = 503


class Media(enum.Enum):
    """The progress of connecting the two phones' media."""

    SEPARATE = enum.auto()
    EARLY = enum.auto()  # A has been offered the audio of B's network
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()


class SipCall:
    """A call's legs, and the media descriptions between them.

    `config` is sippy's configuration, `checks` those of the port's dialogs. `report` is called with
    each fact, `on_end` after the last dialog, and `on_failure` with each address of a trunk that
    failed.
    """

    def __init__(
        self,
        config: dict[str, Any],
        checks: DialogChecks,
        report: Report,
        on_end: Callable[[], object],
        on_failure: Callable[[Address], object],
    ) -> None:
        self._config = config
        self._checks = checks
        self._report = report
        self._on_end = on_end
        self._on_failure = on_failure
        self._legs: dict[LegKey, SipLeg] = {}
        self._dialogs = 0
        self._media = Media.SEPARATE
        self._a: SipLeg | None = None
        self._b: SipLeg | None = None
        self._early: str | None = None  # B's early description, as offered to A
        self._bridge_requested = False
        self._digits = ""  # to dial on B's leg once the media are connected

    def originate(
        self,
        key: LegKey,
        invitation: Invitation,
        trunk: SipTrunk,
        addresses: list[Address],
        ring_timeout: int,
    ) -> None:
        """Ring a phone for up to `ring_timeout` seconds, through the first of these addresses that
        does not fail (RFC 3263, 4.3).
        """
        address, *others = addresses
        agent = UserAgent(
            self._config,
            event_cb=self._on_event,
            username=trunk.username or None,
            password=trunk.password or None,
            nh_address=address,
            dead_cbs=(self._on_dialog_end,),
            ltag=invitation.tag,
        )
        agent.ring_timeout = ring_timeout
        leg = agent.leg = self._legs[key] = SipLeg(key, trunk, address, agent)
        if others:
            leg.try_next = partial(self.originate, key, invitation, trunk, others, ring_timeout)
        self._dialogs += 1
        leg.invite(invitation, self._first_offer(leg), partial(self._on_no_progress, leg))

    def bridge(self, key_a: LegKey, key_b: LegKey) -> None:
        """Connect the two phones' media."""
        a, b = self._legs.get(key_a), self._legs.get(key_b)
        if a is None or b is None or a.ended or b.ended or b.description is None:
            return  # one has just hung up, and is being reported
        self._a, self._b = a, b
        if self._media is Media.EARLY:
            self._bridge_requested = True  # waiting for A's answer
        elif a.agent.owes_ack:
            a.answer(b.description)  # flow I
            self._set_connected()
        elif b.description == self._early:
            self._set_connected()
        else:
            self._media = Media.CONNECTING
            a.offer(b.description)

    def dial_extension(self, key_b: LegKey, digits: str) -> None:
        """Send digits to B's phone, as soon as the phones are connected."""
        if self._b is None or self._b.key != key_b:
            return
        self._digits = digits
        if self._media is Media.CONNECTED:
            self._set_connected()

    def hang_up(self, key: LegKey, cause: Cause) -> None:
        """Hang up a leg in any state."""
        if (leg := self._legs.get(key)) and not leg.ended:
            leg.hang_up(cause)

    def close(self) -> None:
        """Hang up all legs."""
        for key in list(self._legs):
            self.hang_up(key, Cause.SWITCH_STOPPED)

    def _first_offer(self, leg: SipLeg) -> str | None:
        if leg.key.side is Side.A:
            return None if leg.trunk.late_offer else self._black_hole_offer()
        answered = (a for a in self._legs.values() if a.key.side is Side.A and a.answered)
        self._a, self._b = next(answered, None), leg
        a = self._a
        if a and a.description and (a.agent.owes_ack or leg.trunk.early_media):
            return sdp.without_direction(a.description)
        return None

    def _black_hole_offer(self) -> str:
        return sdp.black_hole_offer(self._config["_sip_address"])

    # From the phones

    def _on_dialog_end(self, agent: Any) -> None:
        agent.leg = None  # break the reference cycle
        self._dialogs -= 1
        if not self._dialogs:
            self._legs.clear()
            self._a = self._b = None
            self._on_end()

    def _on_no_progress(self, leg: SipLeg) -> None:
        fact = causes.failed(leg.key, NO_PROGRESS, transport=True)
        self._fail(leg, fact, is_address=not leg.has_replied)
        leg.hang_up(Cause.GATEWAY_DOWN)

    def _on_lost(self, leg: SipLeg, status: int, silence: float) -> None:
        if not leg.ended:
            self._drop(leg, Cause.PEER_LOST, status, causes.q850_of(status), silence)

    def _on_event(self, event: Any, agent: Any) -> None:
        """Handle sippy's event of a dialog. An error ends that leg; sippy would only print it."""
        leg: SipLeg = agent.leg
        if leg.ended:
            return
        leg.got_reply(is_progress=not _is_trying(event))
        try:
            match event:
                case CCEventRing():
                    self._on_ring(leg, event)
                case CCEventFail() | CCEventRedirect():
                    self._on_refusal(leg, event)
                case CCEventDisconnect():
                    self._hung_up(leg, Cause.NORMAL, 0, _q850(event) or causes.NORMAL_CLEARING)
                case CCEventPreConnect() | CCEventConnect():
                    self._on_answer(leg, event)
                case CCEventUpdate():
                    self._on_offer(leg, event)
                case CCEventInfo() if self._media is Media.CONNECTED:
                    self._other(leg).agent.recvEvent(event)
        except Exception:
            logger.exception("Hanging up a SIP call after an error.")
            self._drop(leg, Cause.SWITCH_ERROR)

    def _on_ring(self, leg: SipLeg, event: Any) -> None:
        status, _reason, body = event.getData()
        if status >= RINGING and not leg.answered:
            leg.has_rung = True
            self._report(leg.key.call, Ringing(leg.key.side, leg.key.attempt))
        if body is None or leg is not self._b or not leg.trunk.early_media:
            return
        a, text = self._a, str(body)
        can_offer = a and not a.ended and not a.agent.owes_ack and self._media is Media.SEPARATE
        if a and can_offer and text != self._early:
            self._early = text
            self._media = Media.EARLY
            a.offer(text)

    def _on_refusal(self, leg: SipLeg, event: Any) -> None:
        status, reason = event.getData()[:2]
        q850 = _q850(event)
        if not leg.answered:
            is_transport = status in leg.trunk.failover_codes
            retry_after = leg.agent.retry_after
            fact = causes.failed(
                leg.key, status, q850, transport=is_transport, retry_after=retry_after
            )
            self._fail(leg, fact, is_address=status == UNAVAILABLE and not leg.has_rung)
        elif status in GONE:
            self._drop(leg, Cause.PEER_LOST, status, causes.q850_of(status))
        elif self._media is Media.CONNECTED:  # the phone has refused a re-INVITE
            other = self._other(leg)
            if other.agent.owes_answer:  # otherwise the offer was not the other phone's
                other.agent.recvEvent(CCEventFail((status, reason)))
        elif self._media is Media.EARLY:
            self._early = None
            self._end_early_offer()
        elif status == REQUEST_PENDING and self._b and self._b.description:
            Timeout(self._offer_again, random.uniform(2.1, 4.0), 1)  # noqa: S311
        else:
            self._drop(leg, Cause.REJECTED, status, q850 or 0)

    def _offer_again(self) -> None:
        a, b = self._a, self._b
        if self._media is not Media.CONNECTING or a is None or b is None:
            return
        if b.description and not a.ended and not b.ended:
            a.offer(b.description)

    def _on_answer(self, leg: SipLeg, event: Any) -> None:
        status, _reason, body = event.getData()
        text = None if body is None else str(body)
        if not leg.answered:
            leg.answered = True
            leg.description = text
            if text is None:
                self._drop(leg, Cause.REJECTED, 488)
            else:
                key = leg.key
                self._report(key.call, Answered(key.side, key.attempt, leg.agent.dialog()))
                self._checks.add(leg.agent, partial(self._on_lost, leg))
        elif text is None:  # equivalent to a refusal
            self._on_refusal(leg, CCEventFail((488, "Not Acceptable Here")))
        elif leg is self._a and self._media is Media.EARLY:
            self._end_early_offer()
        elif leg is self._a and self._media is Media.CONNECTING:
            self._connect_media(text)
        elif self._media is Media.CONNECTED and status == "ACK":  # its answer to our offer
            self._other(leg).offer(text)
        elif self._media is Media.CONNECTED:
            self._other(leg).answer(text)

    def _connect_media(self, answer: str) -> None:
        if self._b and self._b.agent.owes_ack:
            self._b.answer(answer)
        self._set_connected()

    def _set_connected(self) -> None:
        self._media = Media.CONNECTED
        digits, self._digits = self._digits, ""
        if digits and self._b:
            DigitSender(self._b, digits)

    def _on_offer(self, leg: SipLeg, event: Any) -> None:
        if self._media is Media.CONNECTED:
            self._other(leg).offer(str(event.getData()))
        elif leg.agent.lSDP is not None:
            leg.agent.recvEvent(CCEventConnect((200, "OK", leg.agent.lSDP)))
        else:
            leg.agent.recvEvent(CCEventFail((REQUEST_PENDING, "Request Pending")))

    def _end_early_offer(self) -> None:
        self._media = Media.SEPARATE
        if self._bridge_requested and self._a and self._b:
            self._bridge_requested = False
            self.bridge(self._a.key, self._b.key)

    def _other(self, leg: SipLeg) -> SipLeg:
        other = self._b if leg is self._a else self._a
        if other is None or other.ended:
            raise RuntimeError("The other phone has hung up.")
        return other

    def _fail(self, leg: SipLeg, fact: Failed, *, is_address: bool) -> None:
        """End a leg before its answer. If only its address has failed, try the next one."""
        leg.ended = True
        if is_address:
            self._on_failure(leg.address)
            if leg.try_next is not None:
                leg.try_next()
                return
        self._report(leg.key.call, fact)

    def _hung_up(
        self, leg: SipLeg, cause: Cause, status: int, q850: int, silence: float = 0.0
    ) -> None:
        leg.ended = True
        fact = HungUp(leg.key.side, leg.key.attempt, cause, status, q850, silence)
        self._report(leg.key.call, fact)

    def _drop(
        self, leg: SipLeg, cause: Cause, status: int = 0, q850: int = 0, silence: float = 0.0
    ) -> None:
        """Hang up a leg, and report it as if the person had hung up."""
        Timeout(leg.hang_up, 0, 1, cause)  # after the event that is being handled
        self._hung_up(leg, cause, status, q850, silence)


def _is_trying(event: Any) -> bool:
    return isinstance(event, CCEventRing) and event.getData()[0] == TRYING


def _q850(event: Any) -> int | None:
    """The cause of `ReasonHeaders`."""
    reason = event.reason_rfc3326
    return None if reason is None else int(reason.cause)
