"""Responses that refuse an INVITE: where their ACK goes, and the network's cause in them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from .conftest import A, SipService, leg
from .peer import SDP, Peer, running_peer

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def third_party() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        yield bound


def has_received_nothing(third_party: socket.socket) -> bool:
    try:
        third_party.recv(65_535)
    except BlockingIOError:
        return True
    return False


def header(message: str, name: str) -> list[str]:
    return re.findall(rf"^{name}: (.*)$", message, re.MULTILINE | re.IGNORECASE)


def assert_acknowledges(ack: str, invite: str) -> None:
    """RFC 3261, 17.1.1.3."""
    assert ack.split(" ")[:2] == ["ACK", invite.split(" ")[1]]
    for name in ("Via", "From", "Call-ID", "Route"):
        assert header(ack, name) == header(invite, name)
    assert header(ack, "CSeq") == [header(invite, "CSeq")[0].replace("INVITE", "ACK")]
    assert header(ack, "To")[0].endswith(";tag=peer")


ROUTE, CONTACT = "Record-Route: <sip:127.0.0.1:{port};lr>", "<sip:1@127.0.0.1:{port}>"


@pytest.mark.parametrize(
    ("status", "contact", "route", "cause"),
    [
        ("302 Moved Temporarily", CONTACT, "", Cause.FORWARDED),
        ("300 Multiple Choices", CONTACT, ROUTE, Cause.FORWARDED),
        ("486 Busy Here", CONTACT, "", Cause.BUSY),
        ("486 Busy Here", "", ROUTE, Cause.BUSY),
        ("404 Not Found", CONTACT, ROUTE, Cause.UNALLOCATED),
        ("603 Decline", CONTACT, ROUTE.replace(";lr", ""), Cause.DECLINED),
    ],
)
def test_the_ack_of_a_refusal_goes_where_the_invite_went(
    service: SipService,
    third_party: socket.socket,
    status: str,
    contact: str,
    route: str,
    cause: Cause,
) -> None:
    """A retransmitted refusal gets the same ACK again."""
    other = third_party.getsockname()[1]

    def caller(peer: Peer) -> None:
        peer.contact = contact.format(port=other)
        invite = peer.receive("INVITE")
        headers = (route.format(port=other),) if route else ()
        peer.respond(invite, status, headers=headers)
        ack = peer.receive("ACK")
        assert_acknowledges(ack, invite)
        peer.respond(invite, status, headers=headers)
        assert peer.receive("ACK") == ack

    with running_peer(caller) as (port, a):
        service.gateway(A, port)
        call = service.place()
        a.result(20)

    assert (call.status, call.hangup_cause) == (2, cause)
    assert has_received_nothing(third_party)


def test_the_ack_of_a_refused_re_invite_follows_the_route_of_the_dialog(
    service: SipService, third_party: socket.socket
) -> None:
    """Whatever the refusal says: a proxy need not repeat its Record-Route."""

    def caller(peer: Peer) -> None:
        own_route = (ROUTE.format(port=peer.port),)
        peer.respond(peer.receive("INVITE"), "200 OK", SDP, own_route)
        peer.receive("ACK")
        reinvite = peer.receive("INVITE")
        assert len(header(reinvite, "Route")) == 1
        peer.contact = CONTACT.format(port=third_party.getsockname()[1])
        peer.respond(reinvite, "488 Not Acceptable Here")
        assert_acknowledges(peer.receive("ACK"), reinvite)
        peer.respond(peer.receive("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    service.place_between(caller, callee)

    assert has_received_nothing(third_party)


@pytest.mark.parametrize("provisional", ["", "180 Ringing"])
@pytest.mark.parametrize(
    ("reasons", "q850"),
    [
        (("Reason: SIP;cause=480", "Reason: Q.850;cause=20"), 20),
        (("Reason: Q.850;cause=20;location=RLN",), 20),
        (('Reason: q.850 ; cause=20 ; text="subscriber absent"',), 20),
        (('Reason: SIP;cause=480;text="x, y", Q.850;cause=20;text="z"',), 20),
        (('Reason: Q.850;text="not; cause=31";cause=20',), 20),
        (("Reason: Q.850;location=LN;cause=20", "Reason: Q.850;cause=31"), 20),
        (('Reason: SIP;cause=480;text="Q.850;cause=31, \\", Q.850;cause=31"',), 18),  # 480's own
        (("Reason: Q.850;cause=twenty", "Reason: Q.850;cause=200", "Reason: nonsense"), 18),
    ],
)
def test_the_cause_of_q850_is_found_beside_other_reasons(
    service: SipService, reasons: tuple[str, ...], q850: int, provisional: str
) -> None:
    def caller(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        if provisional:
            peer.respond(invite, provisional)
        peer.respond(invite, "480 Temporarily Unavailable", headers=reasons)
        peer.receive("ACK")

    with running_peer(caller) as (port, a):
        service.gateway(A, port)
        call = service.place()
        a.result(20)

    assert (leg(call, Side.A).sip_status, leg(call, Side.A).q850) == (480, q850)


def test_the_cause_of_q850_in_a_bye_is_found_beside_other_reasons(service: SipService) -> None:
    def caller(peer: Peer) -> None:
        peer.respond(invite := peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        peer.receive("INVITE")
        reasons = ("Reason: SIP;cause=200", "Reason: Q.850;cause=27;location=RLN")
        peer.send_request("BYE", invite, headers=reasons)
        peer.receive("SIP/2.0 200", skip=("INVITE", "CANCEL"))

    def callee(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    call = service.place_between(caller, callee)

    assert leg(call, Side.A).q850 == 27
