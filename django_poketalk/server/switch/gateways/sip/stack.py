"""Our SIP endpoint: one UDP port, the calls on it, and requests outside calls.

Only used in the SIP thread, where it also reports facts.
"""

from __future__ import annotations

import json
import logging
import re
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
from sippy.Udp_server import Udp_server_opts

from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch.machine.facts_and_commands import Cause

from ..base import CallKey, LegKey, Report
from . import causes
from .call import SipCall
from .sippy_patches.message_text import MessageText
from .sippy_patches.shutdown import CleanShutdown
from .sippy_patches.udp_server import UdpServer
from .user_agent import USER_AGENT, UserAgent

logger = logging.getLogger(__name__)

CREDENTIALS = re.compile(
    r"^((?:Proxy-)?Authorization[ \t]*:).*(?:\r?\n[ \t].*)*", re.IGNORECASE | re.MULTILINE
)
CSEQ_GAP = 1000  # more than the requests that a dialog can have sent since it was stored


class _MessageLog:
    """Logs sippy's messages as DEBUG, without credentials, from which a password can be guessed."""

    def write(self, *args: Any, **kwargs: Any) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s", CREDENTIALS.sub(r"\1 …", "".join(map(str, args))))

    def shutdown(self) -> None:
        """Sippy calls this; there is nothing to close."""


class _Transactions(MessageText, CleanShutdown):
    model_udp_server = (UdpServer, Udp_server_opts)


class Stack:
    """One local address and port. Raises `OSError` if they are not available."""

    def __init__(self, address: str, port: int, report: Report) -> None:
        self.address = address
        self._report = report
        SipConf.my_uaname = USER_AGENT
        self.config: dict[str, Any] = {
            "_sip_address": address,
            "_sip_port": port,
            "_sip_logger": _MessageLog(),
        }
        self._transactions = _Transactions(self.config, self._on_request)
        self.config["_sip_tm"] = self._transactions
        self._calls: dict[CallKey, SipCall] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether one of our requests has no final response yet."""
        return bool(self._transactions.tclient)

    def originate(
        self, leg: LegKey, number: str, caller: str, trunk: SipTrunk, ring_timeout: int
    ) -> None:
        """Ring a phone. An error counts as a trunk that is down."""
        call = self._calls.get(leg.call)
        if call is None:
            on_end = partial(self._calls.pop, leg.call)
            call = self._calls[leg.call] = SipCall(self.config, self._report, on_end)
        try:
            call.originate(leg, number, caller, trunk, ring_timeout)
        except Exception:
            logger.exception("Cannot originate a call through %r.", trunk)
            self._report(leg.call, causes.failed(leg, 503))

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

    def probe(self, trunk: SipTrunk, on_response: Callable[[int], None]) -> None:
        """Send OPTIONS; `on_response` is called with the status of the response, 408 for none."""
        request = SipRequest(
            method="OPTIONS",
            ruri=SipURL(host=trunk.host, port=trunk.port),
            fr0m=_parsed(SipFrom, f"<sip:{USER_AGENT}@{self.address}>;tag={token_hex(8)}"),
            cseq=1,
            callid=SipCallId(),
            user_agent=USER_AGENT,
            target=((trunk.host, trunk.port), "udp"),
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
        agent.newTransaction(agent.genRequest("BYE"))

    def hang_up_all(self) -> None:
        """Hang up all legs."""
        for call in self._calls.values():
            call.close()

    def close(self) -> None:
        """Close the port, without waiting for responses."""
        self._transactions.shutdown()

    def _on_request(self, request: Any, transaction: Any) -> Any:
        """Answer a request outside our dialogs: 200 to OPTIONS; calls are refused."""
        if request.getHFBody("to").getTag() is not None:
            status = (481, "Call/Transaction Does Not Exist")
        elif request.getMethod() == "OPTIONS":
            status = (200, "OK")
        elif request.getMethod() == "INVITE":
            status = (403, "Forbidden")
        else:
            status = (405, "Method Not Allowed")
        return (request.genResponse(*status, server=USER_AGENT), None, None)


def _parsed(header: Any, text: str) -> Any:
    parsed = header(text)
    parsed.parse()
    return parsed
