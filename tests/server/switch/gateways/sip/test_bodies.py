"""Message bodies that are missing, multipart, or not SDP."""

from __future__ import annotations

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from . import phones
from .conftest import A, B, SipService, leg
from .peer import SDP, Peer, running_peer

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MIXED = "multipart/mixed;boundary=between"
WITH_ISUP = f"""--between
Content-Type: application/isup;version=itu-t92+

\x01\x11
--between
Content-Type: application/sdp
Content-Disposition: session;handling=required

{SDP}
--between--"""

REINVITE_WITHOUT_OFFER = [
    phones.pause(400),
    phones.send_request("INVITE", 2),
    phones.receive_response(200),
]


def test_sdp_is_extracted_from_a_multipart_body(service: SipService) -> None:
    """Trunks that forward ISUP (SIP-I) send such bodies."""

    def caller(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", WITH_ISUP, kind=MIXED)
        peer.receive("ACK")
        peer.respond(reinvite := peer.receive("INVITE"), "200 OK", WITH_ISUP, kind=MIXED)
        offers.append(reinvite)
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", WITH_ISUP, kind=MIXED)
        acks.append(peer.receive("ACK"))
        peer.respond(peer.receive("BYE"), "200 OK")

    offers: list[str] = []
    acks: list[str] = []
    call = service.place_between(caller, callee, max_duration=2)

    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
    for message in (*offers, *acks):
        assert "Content-Type: application/sdp" in message
        assert message.partition("\n\n")[2].startswith("v=0\n")
        assert message.endswith("m=audio 4000 RTP/AVP 8\n")


def test_sdp_is_extracted_from_a_multipart_ack(service: SipService) -> None:
    """B sends a re-INVITE without an offer, and answers our offer in its ACK."""
    ack = phones.send_request("ACK", 2, WITH_ISUP, retry=False)
    b_reinvites = [*REINVITE_WITHOUT_OFFER, ack.replace("application/sdp", MIXED, 1)]
    a_accepts = [
        phones.receive("INVITE"),
        phones.respond("200 OK", phones.sdp(5)),
        phones.receive("ACK"),
    ]
    a = service.phone(A, [*phones.ANSWER, *phones.ACCEPT_REINVITE, *a_accepts, *phones.ACCEPT_BYE])
    b = service.phone(B, [*phones.ANSWER, *b_reinvites, *phones.ACCEPT_BYE])

    service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert "m=audio 4000 RTP" in a.messages()
    assert "between" not in a.messages()


def test_an_ack_without_an_answer_changes_nothing(service: SipService) -> None:
    """B then sends an unchanged offer, which is not forwarded to A."""
    refresh = [phones.send_request("INVITE", 3, phones.sdp()), phones.receive_response(200)]
    empty_ack = phones.send_request("ACK", 2, retry=False)
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    b = service.phone(
        B,
        [
            *phones.ANSWER,
            *[*REINVITE_WITHOUT_OFFER, empty_ack, phones.pause(200)],
            *[*refresh, phones.send_request("ACK", 3, retry=False)],
            *phones.ACCEPT_BYE,
        ],
    )

    service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_a_200_ok_without_sdp_is_rejected_with_488(service: SipService) -> None:
    """B is not called."""

    def caller(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", "Hello.", kind="text/plain")
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    with running_peer(caller) as (port, a):
        service.gateway(A, port)
        b = service.phone(B, phones.RING)
        call = service.place()
        a.result(20)

    assert b.messages() == ""
    assert (leg(call, Side.A).sip_status, call.hangup_cause) == (488, Cause.REJECTED)


def test_a_re_invite_that_leg_a_does_not_answer_ends_the_call(service: SipService) -> None:
    """Otherwise B would wait for its ACK, in a call without audio that is charged."""
    without_sdp = [phones.receive("INVITE"), phones.respond("200 OK"), phones.receive("ACK")]
    a = service.phone(A, [*phones.ANSWER, *without_sdp, *phones.ACCEPT_BYE])
    b = service.phone(B, phones.CALL_WITHOUT_REINVITE)

    call = service.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.REJECTED)


def test_a_hold_that_the_other_phone_answers_without_sdp_is_rejected(service: SipService) -> None:
    without_sdp = [
        phones.receive("INVITE", body="a=sendonly"),
        phones.respond("200 OK"),
        phones.receive("ACK"),
    ]
    a = service.phone(
        A, [*phones.ANSWER, *phones.ACCEPT_REINVITE, *without_sdp, *phones.ACCEPT_BYE]
    )
    b = service.phone(
        B,
        [
            *phones.ANSWER,
            *phones.hold(488),
            *phones.ACCEPT_BYE,
        ],
    )

    call = service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
