"""One SIP dialog: sippy's user agent without its defects. Only used in the SIP thread."""

from __future__ import annotations

import json
from typing import Any

from sippy.UasStateUpdating import UasStateUpdating

from . import causes, identity
from .session_timer import SessionTimer
from .sippy_patches.bye_before_ack import ByeAfterAck
from .sippy_patches.contact_name import ContactName
from .sippy_patches.digest import DigestChallenges
from .sippy_patches.early_answer import EarlyAnswer
from .sippy_patches.empty_ack import EmptyAck
from .sippy_patches.invite_expiry import InviteExpiry
from .sippy_patches.multipart_body import MultipartBody
from .sippy_patches.reason_headers import ReasonHeaders
from .sippy_patches.refused_offer import RefusedOffer
from .sippy_patches.reinvite_without_offer import ReinviteWithoutOffer
from .sippy_patches.transport import UdpTransport

USER_AGENT = "django-poketalk"


class UserAgent(
    SessionTimer,  # before the classes that handle responses and requests
    ReasonHeaders,
    MultipartBody,  # before the classes that read the body
    EarlyAnswer,
    ReinviteWithoutOffer,
    EmptyAck,
    RefusedOffer,
    DigestChallenges,  # before the class that may delay the BYE
    ByeAfterAck,
    InviteExpiry,
    UdpTransport,
    ContactName,
):
    """One dialog with one phone."""

    local_ua = USER_AGENT
    retry_after = 0  # seconds, from the last response to an INVITE
    leg: Any = None  # of `SipCall`

    def recvResponse(self, resp: Any, tr: Any) -> Any:
        if self.leg is not None:
            self.leg.got_reply(is_progress=False)
        lines = [header.body.body for header in resp.getHFs("retry-after")]
        self.retry_after = causes.retry_after(resp.getSCode()[0], lines)
        return super().recvResponse(resp, tr)

    @property
    def owes_ack(self) -> bool:
        """Whether the phone's 200 contained an offer that our ACK must answer."""
        return bool(self.isConnected() and self.pending_tr is not None)

    @property
    def owes_answer(self) -> bool:
        """Whether the phone has sent a re-INVITE that we must answer."""
        return type(self.state) is UasStateUpdating

    def genRequest(self, *args: Any, **kwargs: Any) -> Any:
        """Create a request; another process recognizes the branch of an INVITE."""
        request = super().genRequest(*args, **kwargs)
        if request.getMethod() == "INVITE":
            cseq = request.getHFBody("cseq").getCSeqNum()
            signed = identity.branch(str(self.cId), cseq)
            request.getHFBody("via").params["branch"] = signed
        return request

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
