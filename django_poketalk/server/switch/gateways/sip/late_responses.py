"""Responses to INVITEs of a process that is gone, of a call that has ended, or that another phone
has answered. Only used in the SIP thread.

A phone that rings when its switch is killed may still be answered. Without an ACK, it would stay
connected to nobody for half a minute, and with some trunks longer. So a 2xx that no dialog waits
for receives an ACK and a BYE (RFC 3261, 13.2.2.4 and 15). A refusal receives an ACK. Nothing has to
be known of the call but the response: its branch proves that the INVITE was ours. A proxy that
forks an INVITE may forward the 2xx of several phones, and all but the first are treated likewise.
"""

from __future__ import annotations

import re
from hashlib import md5
from typing import Any

from sippy.SipRequest import SipRequest
from sippy.SipResponse import SipResponse
from sippy.SipTransactionManager import SipTransactionManager
from sippy.SipURL import SipURL
from sippy.UacStateTrying import UacStateTrying

from django_poketalk.shared.logs import get_logger

from .identity import branch
from .user_agent import USER_AGENT, UserAgent

logger = get_logger(__name__)

FINAL = re.compile(r"SIP/2\.0 [2-6][0-9]{2} ")
CALL_ID = re.compile(r"^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
INVITE = re.compile(r"^CSeq[ \t]*:[ \t]*([0-9]{1,10})[ \t]+INVITE\b", re.IGNORECASE | re.MULTILINE)


class LateResponses(SipTransactionManager):  # type: ignore[misc]
    """Answers final responses to our INVITEs that nobody waits for."""

    def handleIncoming(self, data: Any, source: Any, server: Any, time: Any) -> None:
        """Handle a message. Those of live dialogs, and repeated ones, are sippy's."""
        text: str = data  # of `MessageText`
        if FINAL.match(text) and (cseq := INVITE.search(text)) and (found := CALL_ID.search(text)):
            call_id, number = found[1], int(cseq[1])
            checksum = md5(text.encode()).digest()  # noqa: S324
            is_repeated = checksum in self.l1rcache or checksum in self.l2rcache
            is_ours = not is_repeated and f"branch={branch(call_id, number)}" in text
            if is_ours and not self._is_awaited(text, call_id, number):
                self._answer(SipResponse(text), number, source, server, checksum)
                return
        super().handleIncoming(text, source, server, time)

    def _is_awaited(self, text: str, call_id: str, cseq: int) -> bool:
        """Whether a dialog waits for this response, or has received it."""
        agents = [consumer.cobj for consumer in self.req_consumers.get(call_id, ())]
        if not agents or any(cseq in agent.reqs for agent in agents):
            return bool(agents)
        response = SipResponse(text)
        if response.getSCode()[0] >= 300:
            return True
        tag = response.getHFBody("to").getTag()
        return any(agent.rUri.getTag() == tag for agent in agents)

    def _answer(
        self, response: SipResponse, cseq: int, source: Any, server: Any, checksum: bytes
    ) -> None:
        agent = UserAgent(self.global_config)
        agent.cId = response.getHFBCopy("call-id")
        agent.lUri = response.getHFBCopy("from")
        agent.rUri = response.getHFBCopy("to")
        agent.rTarget = SipURL(host=source.address[0], port=source.address[1])
        agent.routes = []
        agent.lCSeq = cseq
        agent.rAddr = (source.address, source.transport)
        status = response.getSCode()[0]
        if status >= 300:
            ack = SipRequest(
                method="ACK",
                ruri=agent.rUri.getUrl().getCopy(),
                to=agent.rUri,
                fr0m=agent.lUri,
                via=response.getHFBCopy("via"),
                cseq=cseq,
                callid=agent.cId,
                user_agent=USER_AGENT,
                target=agent.rAddr,
            )
            self.transmitMsg(server, ack, source.address, checksum)
            return
        logger.warning("Ending a call whose answer came when it was no longer awaited.")
        UacStateTrying(agent).updateRoutes(response)
        ack = agent.genRequest("ACK")
        self.transmitMsg(server, ack, ack.getTarget()[0], checksum)
        agent.newTransaction(agent.genRequest("BYE"))
