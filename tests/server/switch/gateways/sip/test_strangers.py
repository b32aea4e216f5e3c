"""Messages from addresses that are no trunk's."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import pytest

from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch.gateways.sip import thread
from django_poketalk.server.switch.gateways.sip.trunks_only import CALL_ID
from django_poketalk.server.switch.machine.facts_and_commands import Cause

from .conftest import A, B, SipService, server_of
from .flood import STRANGER, bound, flooding, request
from .peer import SDP, Peer, running_peer

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FLOOD = 2000  # requests per second
CALLS = 10


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "REGISTER", "BYE"])
def test_a_request_of_a_stranger_is_ignored(
    stack: Any, phone: socket.socket, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with bound(STRANGER) as stranger:
        for number in range(100):
            stranger.sendto(request(stranger, method, number), server_of(stack).uopts.laddress)
        phone.sendto(request(phone, "OPTIONS", 1), server_of(stack).uopts.laddress)

        assert phone.recv(2000).startswith(b"SIP/2.0 200")  # after those of the stranger
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.recv(2000)
    [line] = caplog.messages
    assert STRANGER in line


def test_an_address_is_no_stranger_while_it_is_a_trunks(stack: Any, phone: socket.socket) -> None:
    with bound(STRANGER) as other:
        thread.submit(stack.take_from, frozenset({STRANGER})).result(10)
        other.sendto(request(other, "OPTIONS", 1), server_of(stack).uopts.laddress)
        assert other.recv(2000).startswith(b"SIP/2.0 200")

        thread.submit(stack.take_from, frozenset({"127.0.0.1"})).result(10)
        other.sendto(request(other, "OPTIONS", 2), server_of(stack).uopts.laddress)
        phone.sendto(request(phone, "OPTIONS", 3), server_of(stack).uopts.laddress)
        phone.recv(2000)
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(2000)


@pytest.mark.parametrize("name", ["Call-ID: ", "call-id:", "CALL-ID \t: ", "i: ", "I :"])
def test_the_call_id_is_found_before_a_message_is_parsed(name: str) -> None:
    found = CALL_ID.search(b"BYE sip:1 SIP/2.0\r\nVia: 1\r\n%b1@a\r\nTo: 1\r\n" % name.encode())

    assert found is not None
    assert found[1] == b"1@a"


@pytest.mark.django_db(transaction=True)
def test_a_phone_may_hang_up_from_an_address_that_is_no_trunks(service: SipService) -> None:
    """A proxy need not stay between us and the phone."""

    def callee(peer: Peer) -> None:
        peer.respond(invite := peer.receive("INVITE"), "200 OK", SDP)
        peer.receive("ACK")
        with bound(STRANGER) as other:
            phone = Peer(other, ("127.0.0.1", service.port))
            phone.send_request("BYE", invite)
            phone.receive("SIP/2.0 200")

    def caller(peer: Peer) -> None:
        for _ in range(2):
            peer.respond(peer.receive("INVITE"), "200 OK", SDP)
            peer.receive("ACK")
        peer.respond(peer.receive("BYE"), "200 OK")

    call = service.place_between(caller, callee)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_the_response_to_a_bye_may_come_from_a_phone_itself(stack: Any) -> None:
    """The BYE in a dialog of another process, which is gone. Else it would be repeated."""
    with bound(STRANGER) as other:
        host, port = other.getsockname()
        dialog = {
            "call_id": "dialog",
            "local": "<sip:1@127.0.0.1>;tag=switch",
            "remote": "<sip:2@127.0.0.1>;tag=peer",
            "target": f"sip:2@{host}:{port}",
            "routes": [],
            "cseq": 2,
            "next_hop": [host, port],
        }
        trunk = SipTrunk("127.0.0.1")
        thread.submit(stack.end_dialog, json.dumps(dialog), trunk).result(10)
        phone = Peer(other)
        phone.respond(phone.receive("BYE"), "200 OK")
        phone.expect_nothing(1.0)

    assert not stack.is_waiting
    assert not stack._transactions.ending


def answer_all(peer: Peer) -> None:
    """Be all the phones of one leg, until the last call has ended."""
    ended: set[str] = set()
    while len(ended) < CALLS:
        request = peer.receive("", skip=())
        match request.partition(" ")[0]:
            case "INVITE":
                peer.respond(request, "200 OK", SDP)
            case "BYE":
                peer.respond(request, "200 OK")
                ended |= set(re.findall(r"^Call-ID: (.*)$", request, re.MULTILINE))


@pytest.mark.django_db(transaction=True)
def test_a_flood_of_a_stranger_costs_no_call(
    service: SipService, caplog: pytest.LogCaptureFixture
) -> None:
    with running_peer(answer_all) as (a_port, a), running_peer(answer_all) as (b_port, b):
        service.gateway(A, a_port)
        service.gateway(B, b_port)
        calls = [service.queue(max_duration=3) for _ in range(CALLS)]
        with flooding(service.port, FLOOD) as flood:
            service.place_all(*calls)
        a.result(20)
        b.result(20)

    assert flood.sent > FLOOD
    assert flood.answered == 0
    assert {(call.status, call.hangup_cause) for call in calls} == {(8, Cause.MAX_DURATION)}
    assert sum(STRANGER in line for line in caplog.messages) == 1
