"""Damaged messages from a trunk's address, while a call goes on."""

from __future__ import annotations

import logging
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause
from tests.server.switch import conftest as switch_conftest

from .conftest import SipService
from .flood import request
from .peer import SDP, Peer, answer

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SEED = 20261129
BURST = 50  # datagrams between two requests that are to be answered
LOG_LINES = 20  # for any number of datagrams, in a few seconds each
HEAD = """Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKfuzz
From: <sip:1@127.0.0.1>;tag=peer
To: <sip:2@127.0.0.1>;tag=switch
Call-ID: {call_id}
CSeq: 2 {method}
Contact: <sip:1@127.0.0.1:5060>
"""
METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "REFER", "INFO", "PRACK", "OPTIONS", "FOO")
STATUSES = (100, 180, 183, 200, 302, 401, 407, 422, 480, 486, 603)
STARTS = (
    *(f"{method} sip:2@127.0.0.1 SIP/2.0" for method in METHODS),
    *(f"SIP/2.0 {status} Text" for status in STATUSES),
)
HEADERS = (
    "Record-Route: <sip:127.0.0.1:5060;lr>, <sip:127.0.0.2>",
    'Reason: SIP;cause=480;text="x, y", Q.850;cause=20;text="z"',
    'WWW-Authenticate: Digest realm="pbx", nonce="N1", algorithm=MD5, stale=true',
    'Proxy-Authenticate: Digest realm="edge", nonce="N1", qop="auth"',
    "Session-Expires: 90;refresher=uac",
    "Min-SE: 3600",
    "Retry-After: 5 (busy);duration=3",
    "Refer-To: <sip:3@127.0.0.1>",
    "Content-Type: multipart/mixed;boundary=x",
    "Max-Forwards: 70",
    "X-Broken",
)
PIECES = (b"\r\n", b"\0", b":", b";", b"<", b">", b'"', b"=", b"\xff\xfe", b"%", b"9" * 40, b"sip:")


def message(rng: random.Random, call_id: str) -> bytes:
    """A message that could be one of a dialog."""
    start = rng.choice(STARTS)
    method = "INVITE" if start.startswith("SIP/2.0") else start.split()[0]
    headers = rng.sample(HEADERS, rng.randrange(5))
    body = f"{SDP}\n" if rng.random() < 0.5 else ""
    head = HEAD.format(call_id=call_id, method=method)
    length = f"Content-Length: {len(body) + body.count(chr(10))}"
    text = "\n".join([start, head + "\n".join([*headers, length]), "", body])
    return text.replace("\n", "\r\n").encode()


def damaged(rng: random.Random, data: bytes) -> bytes:
    """The message with up to eight random changes."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 9)):
        at = rng.randrange(len(changed) + 1)
        until = at + rng.randrange(40)
        match rng.randrange(5):
            case 0:
                changed[at:at] = rng.choice(PIECES)
            case 1:
                del changed[at:until]
            case 2:
                changed[at:at] = changed[at:until]
            case 3:
                del changed[at:]
            case _:
                changed[at:until] = rng.randbytes(rng.randrange(40))
    return bytes(changed)


def datagrams(count: int, call_id: str) -> Iterator[bytes]:
    """Damaged messages, with this Call-ID or another one, and random bytes. Always the same."""
    rng = random.Random(SEED)
    for _ in range(count):
        if rng.random() < 0.1:
            yield rng.randbytes(rng.randrange(1500))
        else:
            known = call_id if rng.random() < 0.5 else f"unknown{rng.randrange(10**6)}"
            yield damaged(rng, message(rng, known))


def send_all(port: int, call_id: str, count: int) -> None:
    """Send the datagrams. In between, requests must still be answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trunk:
        trunk.bind(("127.0.0.1", 0))
        trunk.settimeout(20)
        for number, data in enumerate(datagrams(count, call_id)):
            trunk.sendto(data, ("127.0.0.1", port))
            if number % BURST == BURST - 1:
                trunk.sendto(request(trunk, "OPTIONS", number), ("127.0.0.1", port))
                expected = f"Call-ID: {number}\r\n".encode()
                while expected not in trunk.recv(65_535):
                    pass  # the response to a damaged request


def test_damaged_messages_cost_no_call_and_a_bounded_log(
    service: SipService,
    times: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(switch_conftest, "PATIENCE", 600.0)
    over = threading.Event()

    def caller(peer: Peer) -> None:
        answer(peer)
        answer(peer)  # the re-INVITE
        over.wait(600)
        peer.respond(peer.receive("BYE"), "200 OK")

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "200 OK", SDP)
        peer.receive("ACK")
        found = re.search(r"^Call-ID: (.*)$", invite, re.MULTILINE)
        assert found
        try:
            send_all(service.port, found[1], times(400, full=50_000))
        finally:
            over.set()
        peer.send_request("BYE", invite, 2**30)
        peer.receive("SIP/2.0 200", skip=("SIP/2.0",))

    with caplog.at_level(logging.INFO, "django_poketalk.server.switch.gateways.sip"):
        call = service.place_between(caller, callee, max_duration=3600)

    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)
    assert len(caplog.records) < LOG_LINES, caplog.text[-3000:]
    assert not [record for record in caplog.records if record.exc_info]
