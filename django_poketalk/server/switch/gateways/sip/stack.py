"""Our SIP endpoint: one UDP port, the calls on it, and requests outside calls.

Only used in the SIP thread, where it also reports facts.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from functools import partial
from secrets import token_hex
from typing import Any

from sippy.SipCallId import SipCallId
from sippy.SipConf import SipConf
from sippy.SipFrom import SipFrom
from sippy.SipRequest import SipRequest
from sippy.SipRoute import SipRoute
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL
from sippy.Time.Timeout import Timeout
from sippy.Udp_server import Udp_server_opts

from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch.machine.facts_and_commands import Cause
from django_poketalk.shared.logs import get_logger

from ..base import CallKey, LegKey, Report
from . import causes
from .addresses import Address
from .call import SipCall
from .dialog_checks import DialogChecks
from .identity import Invitation
from .late_responses import LateResponses
from .leg import FIRST_CSEQ
from .receive_delay import ReceiveDelay
from .sippy_patches.ack_route import AckRoute
from .sippy_patches.message_text import MessageText
from .sippy_patches.request_methods import not_allowed
from .sippy_patches.same_invite import SameInvite
from .sippy_patches.shutdown import CleanShutdown
from .sippy_patches.udp_server import UdpServer
from .trunks_only import TrunksOnly
from .user_agent import USER_AGENT, UserAgent

logger = get_logger(__name__)

CREDENTIALS = re.compile(
    r"^((?:Proxy-)?Authorization[ \t]*:).*(?:\r?\n[ \t].*)*", re.IGNORECASE | re.MULTILINE
)
AVOID = 60.0  # seconds for which an address that did not respond is tried last
REFUSED = 1  # INVITEs of another process that may have been sent again for a longer session
CHALLENGED = 2  # those that may also have been sent again with credentials
CSEQ_GAP = 100_000  # more than the requests that a dialog can have sent since it was stored


class _MessageLog:
    """Logs sippy's messages as DEBUG, without credentials, from which a password can be guessed."""

    def write(self, *args: Any, **kwargs: Any) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s", CREDENTIALS.sub(r"\1 …", "".join(map(str, args))))

    def shutdown(self) -> None:
        """Sippy calls this; there is nothing to close."""


class _Transactions(TrunksOnly, MessageText, LateResponses, AckRoute, SameInvite, CleanShutdown):
    model_udp_server = (UdpServer, Udp_server_opts)
    take: Callable[[bytes], bool]

    def handleIncoming(self, data: Any, source: Any, server: Any, time: Any) -> None:
        """Handle a datagram, unless it is ours, or a response to a check of a dialog."""
        if not self.take(data):
            super().handleIncoming(data, source, server, time)


class Stack:
    """One local address and port. Raises `OSError` if they are not available. `check_interval` is
    the seconds between two checks of a dialog, 0 for none, and no session timers either.
    """

    def __init__(self, address: str, port: int, report: Report, check_interval: int = 0) -> None:
        self.address = address
        self._report = report
        SipConf.my_uaname = USER_AGENT
        self.config: dict[str, Any] = {
            "_sip_address": address,
            "_sip_port": port,
            "_sip_logger": _MessageLog(),
            "_session_timers": bool(check_interval),
        }
        self._transactions = _Transactions(self.config, self._on_request)
        self.config["_sip_tm"] = self._transactions
        server = self._transactions.l4r.getServer((address, port))
        transmit = partial(self._transactions.transmitData, server)
        self._checks = DialogChecks(check_interval, transmit, server.getSIPaddr())
        self._delay = ReceiveDelay(server.send_to_itself)
        self._transactions.take = self._take
        self._ticking = Timeout(self._checks.tick, 1, -1)
        self._calls: dict[CallKey, SipCall] = {}
        self._failures: dict[Address, float] = {}  # the time of the last one, by `time.monotonic`

    @property
    def delay(self) -> float:
        """How many seconds messages wait until they are read. Any thread may ask."""
        return self._delay.seconds

    def measure_delay(self) -> None:
        """Measure the delay again. Any thread may ask."""
        self._delay.probe()

    @property
    def is_waiting(self) -> bool:
        """Whether one of our requests has no final response yet."""
        return bool(self._transactions.tclient)

    def take_from(self, trunks: frozenset[str]) -> None:
        """Take messages from these addresses, besides those of our dialogs."""
        self._transactions.trunks = trunks

    def originate(
        self,
        leg: LegKey,
        invitation: Invitation,
        trunk: SipTrunk,
        addresses: list[Address],
        ring_timeout: int,
    ) -> None:
        """Ring a phone through the first of the trunk's addresses that responds.

        An error counts as a trunk that is down.
        """
        call = self._calls.get(leg.call)
        if call is None:
            on_end = partial(self._calls.pop, leg.call)
            call = SipCall(self.config, self._checks, self._report, on_end, self._on_failure)
            self._calls[leg.call] = call
        since = time.monotonic() - AVOID
        ordered = sorted(addresses, key=lambda each: self._failures.get(each, since) > since)
        try:
            call.originate(leg, invitation, trunk, ordered, ring_timeout)
        except Exception:
            logger.exception("Cannot originate a call through %r.", trunk)
            self._report(leg.call, causes.failed(leg, 503, transport=True))

    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        """Connect two legs of a call."""
        if call := self._calls.get(leg_a.call):
            call.bridge(leg_a, leg_b)

    def dial_extension(self, leg_b: LegKey, digits: str) -> None:
        """Send digits to leg B's phone."""
        if call := self._calls.get(leg_b.call):
            call.dial_extension(leg_b, digits)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        if call := self._calls.get(leg.call):
            call.hang_up(leg, cause)

    def probe(self, address: Address, on_response: Callable[[int], None]) -> None:
        """Send OPTIONS; `on_response` is called with the status of the response, 408 for none."""
        request = SipRequest(
            method="OPTIONS",
            ruri=SipURL(host=address[0], port=address[1]),
            fr0m=_parsed(SipFrom, f"<sip:{USER_AGENT}@{self.address}>;tag={token_hex(8)}"),
            cseq=1,
            callid=SipCallId(),
            user_agent=USER_AGENT,
            target=(address, "udp"),
        )
        self._transactions.newTransaction(
            request, resp_cb=lambda response: on_response(response.getSCode()[0])
        )

    def end_dialog(self, dialog: str, trunk: SipTrunk) -> None:
        """Send BYE in a dialog of another process, as `UserAgent.dialog` describes it."""
        state = json.loads(dialog)
        agent = UserAgent(
            self.config, username=trunk.username or None, password=trunk.password or None
        )
        agent.cId = SipCallId(state["call_id"])
        agent.lUri = _parsed(SipFrom, state["local"])
        agent.rUri = _parsed(SipTo, state["remote"])
        agent.rTarget = SipURL(state["target"])
        agent.routes = [_parsed(SipRoute, route) for route in state["routes"]]
        agent.lCSeq = state["cseq"] + CSEQ_GAP
        agent.rAddr = (tuple(state["next_hop"]), "udp")
        call_id, ending = str(agent.cId), self._transactions.ending
        ending.add(call_id)

        def on_response(response: Any) -> None:
            if response.getSCode()[0] >= 200:
                ending.discard(call_id)

        agent.newTransaction(agent.genRequest("BYE"), resp_cb=on_response)

    def cancel(self, invitation: Invitation, trunk: SipTrunk, addresses: list[Address]) -> None:
        """Cancel the INVITE of another process, at whichever of these addresses it was sent to.

        A refused session interval may have led to a second one, and challenges to more. A CANCEL
        that does not match the latest is refused (RFC 3261, 9.2), and the next one is tried.
        """
        domain = trunk.domain_for(invitation.caller) or invitation.host
        for address in addresses:
            host, port = address
            agent = UserAgent(self.config)
            agent.cId = SipCallId(invitation.call_id_at(address))
            local = f"<sip:{invitation.caller}@{domain}>;tag={invitation.tag}"
            agent.lUri = _parsed(SipFrom, local)
            agent.rUri = _parsed(SipTo, f"<sip:{invitation.number}@{host}>")
            agent.rTarget = SipURL(username=invitation.number, host=host, port=port)
            agent.routes = []
            agent.rAddr = (address, "udp")
            agent.lCSeq = FIRST_CSEQ
            more = REFUSED + (CHALLENGED if trunk.username else 0)
            self._cancel_next(agent, invitation, more)

    def _cancel_next(self, agent: UserAgent, invitation: Invitation, more: int) -> None:
        cancel = agent.genRequest("INVITE").genCANCEL()
        via = cancel.getHFBody("via")
        via.hostname, via.port = invitation.host, invitation.port

        def on_response(response: Any) -> None:
            if response.getSCode()[0] >= 400 and more:
                self._cancel_next(agent, invitation, more - 1)

        self._transactions.newTransaction(cancel, resp_cb=on_response)

    def hang_up_all(self) -> None:
        """Hang up all legs."""
        for call in self._calls.values():
            call.close()

    def close(self) -> None:
        """Close the port, without waiting for responses."""
        self._ticking.cancel()
        self._transactions.shutdown()

    def _take(self, data: bytes) -> bool:
        return self._delay.take(data) or self._checks.take_response(data)

    def _on_failure(self, address: Address) -> None:
        self._failures[address] = time.monotonic()

    def _on_request(self, request: Any, transaction: Any) -> Any:
        """Answer a request outside our dialogs: 200 to OPTIONS; calls are refused."""
        if request.getHFBody("to").getTag() is not None:
            status = (481, "Call/Transaction Does Not Exist")
        elif request.getMethod() == "OPTIONS":
            status = (200, "OK")
        elif request.getMethod() == "INVITE":
            status = (403, "Forbidden")
        else:
            return (not_allowed(request, USER_AGENT), None, None)
        return (request.genResponse(*status, server=USER_AGENT), None, None)


def _parsed(header: Any, text: str) -> Any:
    parsed = header(text)
    parsed.parse()
    return parsed
