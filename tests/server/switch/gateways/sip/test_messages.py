"""Requests outside dialogs, and messages that cannot be read."""

from __future__ import annotations

import logging
import socket
from random import Random
from typing import Any

import pytest

from django_poketalk.server.switch.gateways.sip import thread

from .conftest import server_of

pytestmark = [
    pytest.mark.needs("sippy"),
    # sippy leaves a socket open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HEADERS = {  # those that sippy reads, except the ones without which there is no answer
    "Contact": "<sip:1@127.0.0.1:5070>",
    "Record-Route": "<sip:127.0.0.1;lr>, <sip:127.0.0.2;lr>",
    "Route": "<sip:127.0.0.1;lr>",
    "Expires": "30",
    "Max-Forwards": "70",
    "Content-Type": "application/sdp",
    "Reason": "Q.850;cause=16",
    "Also": "<sip:1@127.0.0.1>",
    "Refer-To": "<sip:1@127.0.0.1>",
    "User-Agent": "phone",
    "Proxy-Authorization": 'Digest username="1",realm="r",nonce="n",uri="u",response="x"',
    "WWW-Authenticate": 'Digest realm="r", nonce="n"',
    "X-Other": "1",
}
INVITE = """INVITE sip:us@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1
From: <sip:them@127.0.0.1>;tag=1
To: <sip:us@127.0.0.1>
Call-ID: 1
CSeq: 1 INVITE
{headers}Content-Length: 0

"""


@pytest.fixture(autouse=True)
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log a line about the first unreadable message of each test."""

    def install() -> None:
        from sippy import SipTransactionManager

        from django_poketalk.server.switch.gateways.sip.sippy_patches import standard_output

        log = standard_output.UnreadableMessages()
        monkeypatch.setattr(SipTransactionManager, "dump_exception", log.dump_exception)

    thread.submit(install).result(30)


def test_a_malformed_message_is_logged_without_its_text_and_the_next_is_answered(
    stack: Any,
    phone: socket.socket,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = server_of(stack).uopts.laddress
    valid = INVITE.format(port=phone.getsockname()[1], headers="")
    for malformed in (
        b"\xff" * 40,
        b"SIP/2.0 200 OK\r\nVia: nothing\r\nsecret: 1\r\n\r\n",
        b"INVITE sip:us SIP/2.0\r\nsecret: 1\r\n\r\n",
        valid.replace("INVITE sip:us@127.0.0.1 SIP/2.0", "SIP/2.0 99 secret", 1).encode(),
        valid.replace("CSeq: 1", "CSeq: x").encode(),
        valid.replace("Length: 0", "Length: 900").encode(),
        valid.replace("Length: 0", "Length: 6").encode() + b"v=0\r\n",
    ):
        phone.sendto(malformed, address)
    phone.sendto(valid.replace("branch=z9hG4bK1", "branch=z9hG4bK2").encode(), address)

    for status in (b"400", b"403", b"403"):
        response = phone.recv(2000)
        assert response.startswith(b"SIP/2.0 " + status)
    assert b"branch=z9hG4bK2" in response
    assert capsys.readouterr() == ("", "")
    assert "can't parse SIP" in caplog.text
    assert "Traceback" not in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("method", "to", "status"),
    [
        ("OPTIONS", "", b"200"),
        ("INVITE", "", b"403"),
        ("MESSAGE", "", b"405"),
        ("BYE", ";tag=gone", b"481"),
    ],
)
def test_a_request_outside_our_dialogs_is_answered(
    stack: Any, phone: socket.socket, method: str, to: str, status: bytes
) -> None:
    text = INVITE.format(port=phone.getsockname()[1], headers="").replace("INVITE", method)
    text = text.replace("To: <sip:us@127.0.0.1>", f"To: <sip:us@127.0.0.1>{to}")
    phone.sendto(text.encode(), server_of(stack).uopts.laddress)

    assert phone.recv(2000).startswith(b"SIP/2.0 " + status)


@pytest.mark.parametrize("header", ["Authorization", "proxy-authorization"])
def test_credentials_are_removed_from_the_message_log(
    stack: Any, phone: socket.socket, caplog: pytest.LogCaptureFixture, header: str
) -> None:
    caplog.set_level(logging.DEBUG, "django_poketalk.server.switch.gateways.sip")
    credentials = f'{header}: Digest username="me",\r\n response="0123456789abcdef"\r\n'
    text = INVITE.format(port=phone.getsockname()[1], headers=credentials)
    phone.sendto(text.encode(), server_of(stack).uopts.laddress)

    assert phone.recv(2000).startswith(b"SIP/2.0 403")
    assert f"{header}: …" in caplog.text
    assert "CSeq: 1 INVITE" in caplog.text  # the rest is logged
    assert "0123456789abcdef" not in caplog.text


def send_last(stack: Any, phone: socket.socket) -> None:
    """Send a request, and wait until it is answered, as is all that came before."""
    text = INVITE.format(port=phone.getsockname()[1], headers="").replace("z9hG4bK1", "z9hG4bKlast")
    phone.sendto(text.encode(), server_of(stack).uopts.laddress)
    while b"z9hG4bKlast" not in phone.recv(2000):
        pass


def test_a_thousand_unreadable_datagrams_cost_one_line_in_the_log(
    stack: Any, phone: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    random = Random(1)
    for _ in range(1000):
        phone.sendto(random.randbytes(50), server_of(stack).uopts.laddress)
    send_last(stack, phone)

    assert len(caplog.messages) == 1
    assert "Unreadable since the last such line: 1." in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_request_costs_no_traceback_and_nothing_but_itself(
    stack: Any, phone: socket.socket, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """Bytes are replaced, lines are cut, repeated or left out."""
    random = Random(seed)
    headers = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    lines = INVITE.format(port=phone.getsockname()[1], headers=headers).splitlines()
    for number in range(200):
        damaged = [line.replace("z9hG4bK1", f"z9hG4bK{seed}x{number}") for line in lines]
        index = random.randrange(len(damaged))
        line = damaged[index]
        cut = random.randrange(len(line) + 1)
        damaged[index : index + 1] = random.choice(
            [
                [],
                [line[:cut]],
                [line[cut:]],
                [line, line],
                [line[:cut] + '\x00;"' + line[cut + 1 :]],
            ]
        )
        phone.sendto("\r\n".join(damaged).encode(), server_of(stack).uopts.laddress)
    send_last(stack, phone)

    assert "Traceback" not in caplog.text
    assert len(caplog.messages) <= 2


@pytest.mark.parametrize("name", [*HEADERS, "Content-Length"])
@pytest.mark.parametrize("value", ["", "=;<", "*", ",", "-", '"'])
def test_a_header_that_cannot_be_read_costs_nothing_but_itself(
    stack: Any, phone: socket.socket, name: str, value: str
) -> None:
    text = INVITE.format(port=phone.getsockname()[1], headers=f"{name}: {value}\r\n")
    text = text.replace("Content-Length: 0\n", "") if name == "Content-Length" else text
    phone.sendto(text.replace("INVITE", "OPTIONS").encode(), server_of(stack).uopts.laddress)

    assert phone.recv(2000).startswith(b"SIP/2.0 200")


def test_responses_name_the_allowed_methods(stack: Any, phone: socket.socket) -> None:
    text = INVITE.format(port=phone.getsockname()[1], headers="").replace("INVITE", "MESSAGE")
    phone.sendto(text.encode(), server_of(stack).uopts.laddress)

    assert b"\r\nAllow: INVITE, ACK, BYE, " in phone.recv(2000)


def test_an_invite_that_differs_only_in_its_branch_replaces_the_other(
    stack: Any, phone: socket.socket
) -> None:
    """Otherwise, the timers of the first would fail, with a traceback for each."""
    text = INVITE.format(port=phone.getsockname()[1], headers="")
    text = text.replace("us@127.0.0.1>", "us@127.0.0.1>;tag=us")
    for branch in ("z9hG4bKfirst", "z9hG4bKsecond"):
        phone.sendto(text.replace("z9hG4bK1", branch).encode(), server_of(stack).uopts.laddress)
        while branch.encode() not in (response := phone.recv(2000)):
            pass  # the first one again
        assert response.startswith(b"SIP/2.0 481")

    [transaction] = stack._transactions.tserver.values()
    assert transaction.branch == "z9hG4bKsecond"
    for _ in range(2):  # repeated after half a second, and after one more
        assert b"z9hG4bKsecond" in phone.recv(2000)
