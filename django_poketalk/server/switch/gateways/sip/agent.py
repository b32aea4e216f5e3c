"""sippy's user agent, with what real peers need beyond it. Only ever used in the SIP thread."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from sippy.MsgBody import MsgBody
from sippy.SipAddress import SipAddress
from sippy.SipContact import SipContact
from sippy.SipHeader import SipHeader
from sippy.SipURL import SipURL
from sippy.Time.Timeout import Timeout
from sippy.UA import UA
from sippy.UasStateUpdating import UasStateUpdating
from sippy.UaStateConnected import UaStateConnected

from . import sdp

LAST_WORD = 32  # seconds for the 487 that follows a CANCEL (RFC 3261, 9.1: 64 × T1)
CHALLENGES = {401: "www-authenticate", 407: "proxy-authenticate"}


class Agent(UA):  # type: ignore[misc]
    """One dialog with one phone. The methods that are overridden each say what sippy 2.5.0 does
    that some peers do not stand.
    """

    ring_timeout = 300
    _receiving = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.rAddr: Any = None
        super().__init__(*args, **kwargs)
        # The default contact is named "Anonymous".
        self.lContact = SipContact(address=SipAddress(url=SipURL(), hadbrace=True))

    @property
    def owes_ack(self) -> bool:
        """Whether an offer has come with the answer to our INVITE, and our ACK is still due."""
        return bool(self.isConnected() and self.pending_tr is not None)

    @property
    def owes_answer(self) -> bool:
        """Whether the phone has sent a re-INVITE that is not answered yet."""
        return type(self.state) is UasStateUpdating

    def genRequest(self, *args: Any, **kwargs: Any) -> Any:
        """Send everything by UDP: a peer whose Contact says `;transport=UDP`, or tcp, would make
        each later request of the dialog an error.
        """
        if str(self.rAddr[1]) != "udp":
            self.rAddr = (self.rAddr[0], "udp")
        request = super().genRequest(*args, **kwargs)
        if request.getMethod() == "INVITE":
            # A phone must not go on ringing for a switch that has died.
            request.getHFBody("expires").number = self.ring_timeout
        return request

    def newTransaction(self, req: Any, req_extra_headers: Any = None, **kwargs: Any) -> Any:
        """Answer a challenge to BYE as well, and not only those to INVITE; let no BYE leave before
        the ACK of the response that is just being taken, which sippy sends after that; and wait
        beyond Expires for the response to an INVITE that is cancelled then, which wants its ACK.
        """
        if req.getMethod() == "BYE" and "resp_cb" not in kwargs:
            kwargs["resp_cb"] = self._bye_answered
            if self._receiving:
                Timeout(partial(super().newTransaction, req, **kwargs), 0)
                return None
        transaction = super().newTransaction(req, req_extra_headers=req_extra_headers, **kwargs)
        if req.getMethod() == "INVITE":
            transaction.expires = self.ring_timeout + LAST_WORD
        return transaction

    def _bye_answered(self, resp: Any) -> None:
        header = CHALLENGES.get(resp.getSCode()[0])
        if header is None or self.username is None:
            return
        for challenge in resp.getHFBodys(header):
            supported, qop = challenge.supportedAlgorithm()
            if supported:
                super().newTransaction(self.genRequest("BYE", None, (challenge, qop)))
                return

    def recvResponse(self, resp: Any, tr: Any) -> Any:
        """Route the ACK of a re-INVITE as the dialog goes: sippy takes the response's Record-Route,
        which proxies need not repeat.
        """
        _drop_nowhere(resp)
        if self.isConnected() and tr.needack and self.routes:
            resp.delHFs("record-route")
            resp.appendHeaders(
                [SipHeader(name="record-route", body=r.getCopy()) for r in reversed(self.routes)]
            )
        if resp.getHFBody("cseq").getCSeq()[1] == "INVITE":
            _describe(resp)
        self._receiving = True
        try:
            return super().recvResponse(resp, tr)
        finally:
            self._receiving = False

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        """Answer what sippy would drop or take for something else: session refreshes by UPDATE or
        by a re-INVITE without an offer, and methods that we don't have.
        """
        method = req.getMethod()
        _drop_nowhere(req)
        if self.state is None or self._is_old(req):
            return super().recvRequest(req, sip_t)
        if method in ("INVITE", "UPDATE"):
            _describe(req)
        if method in ("UPDATE", "NOTIFY", "MESSAGE", "PUBLISH", "SUBSCRIBE"):
            self.rCSeq = req.getHFBody("cseq").getCSeqNum()
            if method == "UPDATE" and req.getBody() is None:
                return (self._answer(req, 200, "OK"), None, None)
            if method == "UPDATE":
                return (self._answer(req, 488, "Not Acceptable Here"), None, None)
            return (self._answer(req, 501, "Not Implemented"), None, None)
        if method == "INVITE" and req.getBody() is None and type(self.state) is UaStateConnected:
            # Wants our offer, which it answers in its ACK.
            self.rCSeq = req.getHFBody("cseq").getCSeqNum()
            self.uasResp = self._answer(req, 100, "Trying")
            self.sendUasResponse(200, "OK", self.lSDP, (self.lContact,), ack_wait=True)
            return (None, None, None)
        return super().recvRequest(req, sip_t)

    def recvACK(self, req: Any) -> None:
        """An ACK without an answer changes nothing about the media."""
        _describe(req)
        if req.getBody() is not None:
            super().recvACK(req)

    def _is_old(self, req: Any) -> bool:
        return self.rCSeq is not None and self.rCSeq >= req.getHFBody("cseq").getCSeqNum()

    def _answer(self, req: Any, status: int, reason: str) -> Any:
        return req.genResponse(status, reason, server=self.local_ua)

    def dialog(self) -> str:
        """The dialog as text, from which another process can end it (`Stack.end_dialog`)."""
        (host, port), _transport = self.rAddr
        return json.dumps(
            {
                "call_id": str(self.cId),
                "local": str(self.lUri),
                "remote": str(self.rUri),
                "target": str(self.rTarget),
                "routes": [str(route) for route in self.routes or ()],
                "cseq": int(self.lCSeq),
                "next_hop": [str(host), int(port)],
            }
        )


def _drop_nowhere(message: Any) -> None:
    """Take a Contact that is no place to send to, such as "*", for none: the dialog then stays
    where it began. For sippy it would be an error, and an answered phone stay up, unheard.
    """
    try:
        for contact in message.getHFBodys("contact"):
            contact.getUrl().getTAddr()
    except Exception:  # sippy raises whatever it meets
        message.delHFs("contact")


def _describe(message: Any) -> None:
    """Leave nothing in the message's body but a session description."""
    body = message.getBody()
    if body is not None and body.getType() != sdp.TYPE:
        description = sdp.within(str(body.mtype), str(body))
        message.setBody(None if description is None else MsgBody(description))
