"""Our end of SIP: one UDP port, the calls that go through it, and what comes in unasked.

Only ever used in the SIP thread; the listener's methods are called there too.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from functools import partial
from secrets import token_hex
from typing import Any, Protocol

from sippy.SipCallId import SipCallId
from sippy.SipConf import SipConf
from sippy.SipFrom import SipFrom
from sippy.SipRequest import SipRequest
from sippy.SipRoute import SipRoute
from sippy.SipTo import SipTo
from sippy.SipTransactionManager import SipTransactionManager
from sippy.SipURL import SipURL
from sippy.Udp_server import Udp_server_opts

from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch.machine.facts_and_commands import Cause

from ..base import CallKey, LegKey
from .agent import Agent
from .exchange import Exchange
from .port import Port

logger = logging.getLogger(__name__)

NAME = "django-poketalk"
TIMERS = ("teA", "teB", "teC", "teD", "teE", "teF", "teG")
CREDENTIALS = re.compile(
    r"^((?:Proxy-)?Authorization[ \t]*:).*(?:\r?\n[ \t].*)*", re.IGNORECASE | re.MULTILINE
)
CSEQ_LEAP = 1000  # further than any dialog has gone since it was stored


class Listener(Protocol):
    """What the stack tells of its calls."""

    def ringing(self, leg: LegKey) -> None: ...
    def answered(self, leg: LegKey, dialog: str) -> None: ...
    def failed(self, leg: LegKey, status: int, q850: int) -> None: ...
    def hung_up(self, leg: LegKey, cause: Cause, status: int, q850: int) -> None: ...


class _Quiet:
    """sippy's messages in our log; each is a whole SIP message, so only for debugging. What answers
    a challenge is left out: with it, a password could be guessed at leisure.
    """

    def write(self, *args: Any, **kwargs: Any) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s", CREDENTIALS.sub(r"\1 …", "".join(map(str, args))))

    def shutdown(self) -> None:
        """Nothing is open."""


class _Transactions(SipTransactionManager):  # type: ignore[misc]
    model_udp_server = (Port, Udp_server_opts)

    def handleIncoming(self, data_in: Any, ra: Any, server: Any, rtime: Any) -> None:
        """Take each byte for a character: sippy counts characters where Content-Length counts
        bytes, and lets text that is not UTF-8 be an error. Nothing that matters is beyond ASCII.
        """
        text = data_in.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")
        super().handleIncoming(text, ra, server, rtime)

    def unregConsumer(self, consumer: Any, call_id: str) -> None:
        """Forget a dialog; one that outlives the port is forgotten already."""
        if self.req_consumers is not None:
            super().unregConsumer(consumer, call_id)


class Stack:
    """One local address and port. `OSError` when they cannot be had."""

    name = NAME

    def __init__(self, address: str, port: int, listener: Listener) -> None:
        self.address = address
        SipConf.my_uaname = NAME
        self.config: dict[str, Any] = {
            "_sip_address": address,
            "_sip_port": port,
            "_sip_logger": _Quiet(),
        }
        self.config["_sip_tm"] = self._transactions = _Transactions(self.config, self._unasked)
        self._exchanges: dict[CallKey, Exchange] = {}
        self.ringing = listener.ringing
        self.answered = listener.answered
        self.failed = listener.failed
        self.hung_up = listener.hung_up

    @property
    def is_waiting(self) -> bool:
        """Whether a response to a request of ours is still awaited."""
        return bool(self._transactions.tclient)

    def originate(
        self, leg: LegKey, number: str, caller: str, trunk: SipTrunk, ring_timeout: int
    ) -> None:
        """Ring a phone; an error is a trunk that is down."""
        exchange = self._exchanges.get(leg.call)
        if exchange is None:
            over = partial(self._exchanges.pop, leg.call)
            exchange = self._exchanges[leg.call] = Exchange(self, over)
        try:
            exchange.originate(leg, number, caller, trunk, ring_timeout)
        except Exception:
            logger.exception("%r could not be called through.", trunk)
            self.failed(leg, 503, 41)

    def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
        """Let two phones of a call hear each other."""
        if exchange := self._exchanges.get(leg_a.call):
            exchange.bridge(leg_a, leg_b)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        """Put a phone down."""
        if exchange := self._exchanges.get(leg.call):
            exchange.hang_up(leg, cause)

    def probe(self, trunk: SipTrunk, answered: Callable[[int], None]) -> None:
        """Send OPTIONS; `answered` gets the status of the response, 408 for none."""
        target = SipURL(host=trunk.host, port=trunk.port)
        request = SipRequest(
            method="OPTIONS",
            ruri=target,
            fr0m=_addressed(SipFrom, f"<sip:{NAME}@{self.address}>;tag={token_hex(8)}"),
            cseq=1,
            callid=SipCallId(),
            user_agent=NAME,
            target=((trunk.host, trunk.port), "udp"),
        )
        self._transactions.newTransaction(
            request, resp_cb=lambda response: answered(response.getSCode()[0])
        )

    def end_dialog(self, dialog: str, trunk: SipTrunk) -> None:
        """Send BYE in a dialog of a process that is gone, as `Agent.dialog` has told of it."""
        told = json.loads(dialog)
        agent = Agent(self.config, username=trunk.username or None, password=trunk.password or None)
        agent.local_ua = NAME
        agent.cId = SipCallId(told["call_id"])
        agent.lUri = _addressed(SipFrom, told["local"])
        agent.rUri = _addressed(SipTo, told["remote"])
        agent.rTarget = SipURL(told["target"])
        agent.routes = [_addressed(SipRoute, route) for route in told["routes"]]
        agent.lCSeq = told["cseq"] + CSEQ_LEAP
        agent.rAddr = (tuple(told["next_hop"]), "udp")
        agent.newTransaction(agent.genRequest("BYE"))

    def close(self) -> None:
        """Put all phones down."""
        for exchange in self._exchanges.values():
            exchange.close()

    def shut(self) -> None:
        """Let go of the port, and of all that is still awaited."""
        for transaction in (
            *self._transactions.tclient.values(),
            *self._transactions.tserver.values(),
        ):
            for name in TIMERS:
                if (timer := getattr(transaction, name, None)) is not None:
                    timer.cancel()
        self._transactions.shutdown()

    def _unasked(self, request: Any, transaction: Any) -> Any:
        """We take no calls; who asks whether we live is told."""
        if request.getHFBody("to").getTag() is not None:
            status, reason = 481, "Call/Transaction Does Not Exist"
        elif request.getMethod() == "OPTIONS":
            status, reason = 200, "OK"
        elif request.getMethod() == "INVITE":
            status, reason = 403, "Forbidden"
        else:
            status, reason = 405, "Method Not Allowed"
        return (request.genResponse(status, reason, server=NAME), None, None)


def _addressed(header: Any, text: str) -> Any:
    built = header(text)
    built.parse()
    return built
