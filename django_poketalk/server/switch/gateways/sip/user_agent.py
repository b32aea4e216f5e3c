"""One SIP dialog: sippy's user agent without its defects. Only used in the SIP thread."""

from __future__ import annotations

import json

from sippy.UasStateUpdating import UasStateUpdating

from .sippy_patches.bye_before_ack import ByeAfterAck
from .sippy_patches.bye_challenge import ByeChallenge
from .sippy_patches.contact_name import ContactName
from .sippy_patches.empty_ack import EmptyAck
from .sippy_patches.invite_expiry import InviteExpiry
from .sippy_patches.multipart_body import MultipartBody
from .sippy_patches.refused_offer import RefusedOffer
from .sippy_patches.reinvite_route import ReinviteRoute
from .sippy_patches.reinvite_without_offer import ReinviteWithoutOffer
from .sippy_patches.transport import UdpTransport
from .sippy_patches.unusable_contact import UnusableContact

USER_AGENT = "django-poketalk"


class UserAgent(
    UnusableContact,
    MultipartBody,  # before the classes that read the body
    ReinviteWithoutOffer,
    EmptyAck,
    ReinviteRoute,
    RefusedOffer,
    ByeChallenge,  # before the class that may delay the BYE
    ByeAfterAck,
    InviteExpiry,
    UdpTransport,
    ContactName,
):
    """One dialog with one phone."""

    local_ua = USER_AGENT

    @property
    def owes_ack(self) -> bool:
        """Whether the phone's 200 contained an offer that our ACK must answer."""
        return bool(self.isConnected() and self.pending_tr is not None)

    @property
    def owes_answer(self) -> bool:
        """Whether the phone has sent a re-INVITE that we must answer."""
        return type(self.state) is UasStateUpdating

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
