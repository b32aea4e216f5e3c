"""Calls through Kamailio: a proxy with authentication and Record-Route, and an edge to TCP."""

from __future__ import annotations

import socket

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from . import kamailio, phones
from .conftest import A, B, SipService, leg
from .peer import SDP, Peer, Script, running_peer
from .ports import free_port, wait_until_bound

pytestmark = [
    pytest.mark.needs("sipp", "sippy", "kamailio"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def register(proxy: int, number: str, phone: int) -> None:
    """Register the contact of a number's phone."""
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


def test_a_call_through_a_proxy_with_authentication_and_record_route(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", phones.PASSWORD)
    proxy = free_port()
    config = kamailio.REGISTRAR.replace("PORT", str(proxy)).replace("PASSWORD", phones.PASSWORD)
    with (
        kamailio.running(config, proxy),
        phones.running(phones.CALL_WITH_REINVITE, free_port()) as a,
        phones.running(phones.CALL_WITHOUT_REINVITE, free_port()) as b,
    ):
        wait_until_bound(a.port)
        wait_until_bound(b.port)
        register(proxy, f"{A}01", a.port)
        register(proxy, f"{B}02", b.port)
        service.gateway(
            "", proxy, username=phones.USERNAME, password_variable="POKETALK_GATEWAY_TRUNK"
        )

        call = service.place(max_duration=2)

        assert (a.result(), b.result()) == ("", "")
        received = a.messages() + b.messages()
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
    # Every request in the dialogs goes through the proxy.
    assert f"Via: SIP/2.0/UDP 127.0.0.1:{proxy}" in received
    assert received.count("Record-Route:") > 0
    for request in ("ACK", "BYE", "INVITE"):
        for message in received.split("UDP message ")[1:]:
            if message.startswith("received") and f"\n{request} sip:" in message:
                assert f"SIP/2.0/UDP 127.0.0.1:{proxy};branch" in message


def test_a_call_to_a_tcp_trunk_through_a_local_edge_proxy(service: SipService) -> None:
    edge = free_port()
    with phones.running(phones.CALL_WITH_REINVITE, free_port(), transport="t1") as a:
        wait_until_bound(a.port, "tcp")
        config = (
            kamailio.EDGE.read_text()
            .replace("127.0.0.1:5080", f"127.0.0.1:{edge}")
            .replace("sip:trunk.example.com:5060", f"sip:127.0.0.1:{a.port}")
        )
        with kamailio.running(config, edge):
            service.gateway(A, edge)
            b = service.phone(B, phones.CALL_WITHOUT_REINVITE)

            call = service.place(max_duration=2)

            assert (a.result(), b.result()) == ("", "")
            assert "TCP message received" in a.messages()
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)


@pytest.mark.usefixtures("quick_checks")
def test_checks_and_refreshes_pass_through_a_proxy(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leg A is refreshed by re-INVITE, and leg B by UPDATE, until it vanishes."""
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", phones.PASSWORD)
    proxy = free_port()
    config = kamailio.REGISTRAR.replace("PORT", str(proxy)).replace("PASSWORD", phones.PASSWORD)

    def phone(*headers: str, vanish: bool) -> Script:
        def script(peer: Peer) -> None:
            received: list[str] = []
            while not vanish or not {"OPTIONS", "UPDATE"} <= set(received):
                request = peer.receive("")
                received.append(request.split()[0])
                assert f"Via: SIP/2.0/UDP 127.0.0.1:{proxy};branch" in request
                if request.startswith("ACK"):
                    continue
                route = [line for line in request.split("\n") if line.startswith("Record-Route")]
                body = SDP if request.startswith("INVITE") else ""
                peer.respond(request, "200 OK", body, headers=(*route, *headers))
                if request.startswith("BYE"):
                    assert received.count("INVITE") > 2  # two of them connect the call
                    assert "UPDATE" not in received
                    return

        return script

    refreshed = "Session-Expires: 5;refresher=uac"
    with (
        kamailio.running(config, proxy),
        running_peer(phone(refreshed, vanish=False)) as (a_port, a),
        running_peer(phone(refreshed, "Allow: INVITE, UPDATE", vanish=True)) as (b_port, b),
    ):
        register(proxy, f"{A}01", a_port)
        register(proxy, f"{B}02", b_port)
        service.gateway(
            "", proxy, username=phones.USERNAME, password_variable="POKETALK_GATEWAY_TRUNK"
        )
        call = service.place(max_duration=60)
        a.result(20)
        b.result(20)

    assert (call.status, call.hangup_cause) == (8, Cause.PEER_LOST)
    assert leg(call, Side.B).hangup_cause == Cause.PEER_LOST
    assert leg(call, Side.A).hangup_cause == Cause.OTHER_LEG
