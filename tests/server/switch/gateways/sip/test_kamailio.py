"""Calls through Kamailio: as a proxy that asks for a password and stays in the route, and as the
edge to a trunk over TCP.
"""

from __future__ import annotations

import socket

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause

from . import kamailio, phones
from .conftest import A, B, Lines, free_port, wait_for

pytestmark = [
    pytest.mark.needs("sipp", "sippy", "kamailio"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def register(proxy: int, number: str, phone: int) -> None:
    """Tell the registrar where a number's phone is."""
    request = "\r\n".join(
        [
            f"REGISTER sip:127.0.0.1:{proxy} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{phone};branch=z9hG4bK{phone};rport",
            f"From: <sip:{number}@127.0.0.1>;tag={phone}",
            f"To: <sip:{number}@127.0.0.1>",
            f"Call-ID: {number}",
            "CSeq: 1 REGISTER",
            f"Contact: <sip:{number}@127.0.0.1:{phone}>",
            "Expires: 300",
            "Max-Forwards: 70",
            "Content-Length: 0",
            "",
            "",
        ]
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(10)
        sender.sendto(request.encode(), ("127.0.0.1", proxy))
        assert sender.recv(4096).startswith(b"SIP/2.0 200")


def test_a_proxy_that_asks_for_a_password_and_stays_in_the_route(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", phones.PASSWORD)
    proxy = free_port()
    config = kamailio.REGISTRAR.replace("PORT", str(proxy)).replace("PASSWORD", phones.PASSWORD)
    with (
        kamailio.running(config, proxy),
        phones.ringing(phones.ANSWERS_AS_A, free_port()) as a,
        phones.ringing(phones.ANSWERS_AS_B, free_port()) as b,
    ):
        wait_for(a.port)
        wait_for(b.port)
        register(proxy, f"{A}01", a.port)
        register(proxy, f"{B}02", b.port)
        lines.gateway("", proxy, username=phones.USERNAME, password_variable="TRUNK_PASSWORD")

        call = lines.place(max_duration=2)

        assert (a.result(), b.result()) == ("", "")
        received = a.messages() + b.messages()
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
    # Not one message went past the proxy that has put itself into the route.
    assert f"Via: SIP/2.0/UDP 127.0.0.1:{proxy}" in received
    assert received.count("Record-Route:") > 0
    for request in ("ACK", "BYE", "INVITE"):
        for message in received.split("UDP message ")[1:]:
            if message.startswith("received") and f"\n{request} sip:" in message:
                assert f"SIP/2.0/UDP 127.0.0.1:{proxy};branch" in message


def test_a_trunk_over_tcp_is_reached_by_way_of_a_local_edge(lines: Lines) -> None:
    edge = free_port()
    with phones.ringing(phones.ANSWERS_AS_A, free_port(), transport="t1") as a:
        wait_for(a.port, "tcp")
        config = (
            kamailio.EDGE.read_text()
            .replace("127.0.0.1:5080", f"127.0.0.1:{edge}")
            .replace("sip:trunk.example.com:5060", f"sip:127.0.0.1:{a.port}")
        )
        with kamailio.running(config, edge):
            lines.gateway(A, edge)
            b = lines.phone(B, phones.ANSWERS_AS_B)

            call = lines.place(max_duration=2)

            assert (a.result(), b.result()) == ("", "")
            assert "TCP message received" in a.messages()
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
