"""Contact headers that contain no usable address."""

from __future__ import annotations

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from .conftest import A, B, SipService, leg
from .peer import SDP, Peer, running_peer
from .phones import RING

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

UNUSABLE = ["*", "<sip:127.0.0.1:port>", "<tel:+442079460000>"]


@pytest.mark.parametrize("contact", UNUSABLE)
def test_requests_go_to_the_trunk_if_the_contact_is_unusable(
    service: SipService, contact: str
) -> None:
    """This applies to responses to INVITE and re-INVITE, and to requests of the phone."""

    def caller(peer: Peer) -> None:
        peer.contact = contact
        peer.respond(invite := peer.receive("INVITE"), "180 Ringing")
        peer.respond(invite, "200 OK", SDP)
        peer.receive("ACK")
        peer.respond(peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        peer.contact = contact
        peer.respond(invite := peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        peer.send_request("UPDATE", invite, 2)
        peer.receive("SIP/2.0 200")
        peer.send_request("BYE", invite, 3)
        peer.receive("SIP/2.0 200")

    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_a_redirect_to_an_unusable_contact_is_a_redirect(service: SipService) -> None:
    def caller(peer: Peer) -> None:
        peer.contact = "*"
        peer.respond(peer.receive("INVITE"), "302 Moved Temporarily")
        peer.receive("ACK")

    with running_peer(caller) as (port, a):
        service.gateway(A, port)
        service.phone(B, RING)
        call = service.place()
        a.result(20)

    assert (call.status, call.hangup_cause) == (2, Cause.FORWARDED)
    assert leg(call, Side.A).sip_status == 302
