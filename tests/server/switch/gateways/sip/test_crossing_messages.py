"""Messages that cross: answers of two phones, and requests while another one is pending."""

from __future__ import annotations

import re
import threading

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause

from .conftest import A, B, SipService
from .peer import SDP, Peer, running_peer, stay, talk

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

WE_REFRESH = "Session-Expires: 2;refresher=uac"
NEW_SDP = SDP.replace("4000", "4002")


def receive_from_other_phone(peer: Peer, method: str) -> None:
    """Receive a request to the phone that answered second."""
    request = peer.receive(method, skip=("ACK", "INVITE"))
    while not re.search(r"^To: .*;tag=second$", request, re.MULTILINE):
        request = peer.receive(method, skip=("ACK", "INVITE"))
    if method != "ACK":
        peer.respond(request, "200 OK")


@pytest.mark.parametrize("late_offer", [False, True])
def test_a_second_phone_that_answers_is_put_down(service: SipService, late_offer: bool) -> None:
    """A proxy that forks the INVITE may send both 2xx (RFC 3261, 13.2.2.4)."""

    def caller(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "200 OK", SDP, tag="peer")
        if not late_offer:
            peer.receive("ACK")
        peer.respond(invite, "200 OK", NEW_SDP, tag="second")
        receive_from_other_phone(peer, "ACK")
        receive_from_other_phone(peer, "BYE")
        peer.respond(invite, "200 OK", NEW_SDP, tag="second")
        receive_from_other_phone(peer, "ACK")
        is_put_down.set()
        stay(peer)

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        assert is_put_down.wait(10)
        peer.respond(invite, "200 OK", SDP)
        peer.receive("ACK")
        peer.send_request("BYE", invite)
        peer.receive("SIP/2.0 200")

    is_put_down = threading.Event()
    with running_peer(caller) as (a_port, a), running_peer(callee) as (b_port, b):
        service.gateway(A, a_port, late_offer=late_offer)
        service.gateway(B, b_port)
        call = service.place()
        a.result(20)
        b.result(20)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("UPDATE", "", "200"),
        ("UPDATE", SDP, "500"),
        ("OPTIONS", "", "200"),
        ("INFO", "", "405"),
        ("FOO", "", "405"),
        ("BYE", "", "481"),
    ],
    ids=lambda each: each[:9],
)
def test_a_request_before_the_answer_does_not_end_the_call(
    service: SipService, method: str, body: str, status: str
) -> None:
    """481 would say that there is no such dialog (RFC 3261, 12.2.1.2)."""

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "180 Ringing")
        peer.send_request(method, invite, 2, body=body)
        peer.receive(f"SIP/2.0 {status}")
        peer.respond(invite, "200 OK", SDP)
        peer.receive("ACK")
        peer.send_request("BYE", invite, 3)
        peer.receive("SIP/2.0 200")

    call = service.place_between(talk, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def send_update(peer: Peer, invite: str, cseq: int) -> str:
    """Send an UPDATE with an offer. Return the response, which the phone survives."""
    peer.send_request("UPDATE", invite, cseq, body=NEW_SDP)
    return peer.receive("SIP/2.0", skip=("INVITE", "ACK"))


def test_an_update_is_tried_again_later_while_another_offer_has_no_answer(
    service: SipService,
) -> None:
    """491 while the offer is ours, 500 while it is the phone's (RFC 3311, 5.2)."""
    responses: dict[str, str] = {}

    def caller(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "180 Ringing")
        responses["A rings"] = send_update(peer, invite, 2)
        peer.respond(invite, "200 OK", SDP)
        peer.receive("ACK")
        reinvite = peer.receive("INVITE")
        responses["A has B's offer"] = send_update(peer, invite, 3)
        assert b_has_sent_update.wait(10)
        peer.respond(reinvite, "200 OK", SDP)
        peer.receive("ACK", skip=("INVITE",))
        peer.respond(peer.receive("BYE", skip=("INVITE",)), "200 OK")

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "183 Session Progress", SDP)
        responses["B rings"] = send_update(peer, invite, 2)
        peer.respond(invite, "200 OK", SDP)
        responses["B has offered"] = send_update(peer, invite, 3)
        b_has_sent_update.set()
        peer.receive("ACK")
        peer.send_request("BYE", invite, 4)
        peer.receive("SIP/2.0 200")

    b_has_sent_update = threading.Event()
    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)
    statuses = {phase: response.split()[1] for phase, response in responses.items()}
    assert statuses == {
        "A rings": "491",
        "A has B's offer": "491",
        "B rings": "500",
        "B has offered": "500",
    }
    for response in responses.values():
        pause = re.search(r"^Retry-After: (\d+)$", response, re.MULTILINE | re.IGNORECASE)
        assert (pause is not None) == ("SIP/2.0 500" in response)
        assert pause is None or 0 <= int(pause[1]) <= 10


@pytest.mark.usefixtures("quick_checks")
def test_the_answer_in_an_ack_counts_that_crosses_an_offer_of_ours(service: SipService) -> None:
    """The peer asks for an offer by a re-INVITE without one, while the session is due."""
    offers: list[str] = []

    def caller(peer: Peer) -> None:
        while True:
            request = peer.receive("", skip=("ACK",))
            if request.startswith("ACK"):
                continue
            if request.startswith("INVITE"):
                offers.append(request.partition("\n\n")[2])
            peer.respond(request, "200 OK", SDP if request.startswith("INVITE") else "")
            if "m=audio 4002" in request:
                changed.set()
            if request.startswith("BYE"):
                return

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "200 OK", SDP, headers=(WE_REFRESH,))
        peer.receive("ACK")
        peer.send_request("INVITE", invite, 2)
        peer.receive("SIP/2.0 200", skip=("OPTIONS",))
        refresh = peer.receive("INVITE", skip=("OPTIONS", "SIP/2.0 200"))
        peer.send_request("ACK", invite, 2, body=NEW_SDP)
        peer.respond(refresh, "491 Request Pending")
        assert changed.wait(10)
        peer.send_request("BYE", invite, 3)
        while not peer.receive("").startswith("SIP/2.0 200"):
            pass

    changed = threading.Event()
    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)
    assert len(offers) == 3
