"""Session descriptions in the responses to INVITE: how they end, and where the answer is."""

from __future__ import annotations

import re

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause

from .conftest import A, B, SipService
from .peer import SDP, Peer, running_peer

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MEDIA = SDP + "\na=rtpmap:8 PCMA/8000\n"
PROGRESS = "183 Session Progress"


@pytest.mark.parametrize(
    "description",
    [
        pytest.param(MEDIA.replace("\n", "\r\n") + "a=inactive", id="nothing"),
        pytest.param(MEDIA.replace("\n", "\r\n") + "a=inactive \r\n", id="space"),
        pytest.param(MEDIA.replace("\n", "\r\n") + "a=inactive\t\r\n", id="tab"),
        pytest.param(MEDIA.replace("\n", "\r\n") + "a=inactive \t", id="space-and-tab"),
        pytest.param(MEDIA + "a=inactive\n", id="lf"),
        pytest.param(MEDIA + "a=inactive", id="lf-nothing"),
        pytest.param(MEDIA.replace("\n", "\r") + "a=inactive\r", id="cr"),
        pytest.param(
            MEDIA.replace("\n", "\r\n").replace("a=rtpmap", "a=sendonly \r\na=rtpmap"), id="middle"
        ),
    ],
)
def test_a_direction_of_leg_a_is_left_out_however_its_line_ends(
    service: SipService, description: str
) -> None:
    """The descriptions that are forwarded end each line with CR LF."""
    forwarded: list[bytes] = []

    def caller(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", description, exact=True)
        peer.receive("ACK")
        reinvite = peer.receive("INVITE")
        forwarded.append(peer.received)
        peer.respond(reinvite, "200 OK", SDP)
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        forwarded.append(peer.received)
        peer.respond(invite, "200 OK", SDP)
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    with running_peer(caller) as (a_port, a), running_peer(callee) as (b_port, b):
        service.gateway(A, a_port)
        service.gateway(B, b_port, early_media=True)
        call = service.place(max_duration=1)
        a.result(20)
        b.result(20)

    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
    offer_to_b, offer_to_a = forwarded
    for message in forwarded:
        assert not re.search(rb"a=(inactive|sendonly)", message)
        assert message.count(b"\n") == message.count(b"\r\n") == message.count(b"\r")
    assert offer_to_b.endswith(b"\r\na=rtpmap:8 PCMA/8000\r\n")
    assert offer_to_a.endswith(b"\r\nm=audio 4000 RTP/AVP 8\r\n")


@pytest.mark.parametrize("early_media", [False, True])
@pytest.mark.parametrize("between", ["", "180 Ringing"])
def test_the_answer_may_come_in_183_alone(
    service: SipService, early_media: bool, between: str
) -> None:
    def caller(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, PROGRESS, MEDIA.rstrip())
        if between:
            peer.respond(invite, between)
        peer.respond(invite, "200 OK")
        peer.receive("ACK")
        peer.respond(reinvite := peer.receive("INVITE"), PROGRESS, SDP)
        peer.respond(reinvite, "200 OK")
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        assert "a=rtpmap:8 PCMA/8000" in invite
        peer.respond(invite, "200 OK", SDP)
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    with running_peer(caller) as (a_port, a), running_peer(callee) as (b_port, b):
        service.gateway(A, a_port, early_media=early_media)
        service.gateway(B, b_port, early_media=True)
        call = service.place(max_duration=1)
        a.result(20)
        b.result(20)

    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)


def test_the_answer_in_183_of_another_phone_does_not_count(service: SipService) -> None:
    """A proxy that forks the INVITE: the phone that answers is not the one that sent the 183."""

    def caller(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, PROGRESS, SDP)
        peer.respond(invite, "200 OK", tag="another")
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    with running_peer(caller) as (port, a):
        service.gateway(A, port)
        call = service.place()
        a.result(20)

    assert (call.status, call.hangup_cause) == (2, Cause.REJECTED)
