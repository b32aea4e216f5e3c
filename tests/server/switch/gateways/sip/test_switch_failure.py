"""A switch that stops, is killed or freezes during calls: every phone receives a BYE."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.server.models import Call, Switch, TestCall
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.sip.identity import branch
from django_poketalk.server.switch.machine.facts_and_commands import Cause
from tests.server.switch.conftest import ended, serve
from tests.server.switch.processes import switch, talking, wait_for

from . import phones
from .conftest import A, B, SipService
from .peer import SDP, Peer, running_peer
from .ports import free_port, wait_until_bound

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_the_next_switch_hangs_up_the_calls_of_a_killed_switch(service: SipService) -> None:
    a, b = (
        service.phone(A, phones.CALL_WITH_REINVITE),
        service.phone(B, phones.CALL_WITHOUT_REINVITE),
    )
    call = service.queue(max_duration=60)
    with switch(speed=1, SWITCH_SIP_PORT=str(free_port())) as process:
        wait_for(talking(call))
        process.kill()
        process.wait()
    assert call.legs.exclude(dialog="").count() == 2

    serve(Engine("next"), until=ended(call))

    assert (a.result(), b.result()) == ("", "")  # each has received a BYE
    call.refresh_from_db()
    assert (call.status, call.hangup_cause, call.held) == (8, Cause.SWITCH_LOST, 0)
    assert not call.legs.exclude(dialog="").exists()


def test_the_next_switch_cancels_a_phone_that_rings(service: SipService) -> None:
    """On the same port, so that it also acknowledges the refusal that follows."""
    a = service.phone(A, [*phones.RING, *phones.ACCEPT_CANCEL])
    service.gateway_to_nobody(B)
    call = service.queue(max_duration=60)
    with switch(speed=1, SWITCH_SIP_PORT=str(service.port)) as process:
        wait_for(call.legs.filter(ringing_at__isnull=False).exists)
        process.kill()
        process.wait()

    serve(Engine("next"), until=lambda: ended(call)() and a.process.poll() is not None)

    assert a.result() == ""
    call.refresh_from_db()
    assert (call.status, call.hangup_cause, call.cost) == (2, Cause.SWITCH_LOST, 0)


def test_the_next_switch_cancels_a_test_call(service: SipService) -> None:
    def phone(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "180 Ringing")
        peer.respond(peer.receive("CANCEL", skip=("INVITE",)), "200 OK")

    with running_peer(phone) as (port, peer):
        gateway = service.gateway(A, port)
        test_call = TestCall.objects.create(gateway=gateway, number=f"{A}01")
        with switch(speed=1, SWITCH_SIP_PORT=str(service.port)) as process:
            wait_for(TestCall.objects.exclude(dialog="").filter(ringing_at__isnull=False).exists)
            process.kill()
            process.wait()
        assert not peer.done()
        long_ago = timezone.now() - timedelta(minutes=1)
        Switch.objects.update(seen_at=long_ago)
        TestCall.objects.update(begun_at=long_ago)
        serve(Engine("next"), until=peer.done)
        peer.result(20)

    test_call.refresh_from_db()
    assert (test_call.hangup_cause, test_call.dialog) == (Cause.SWITCH_LOST, "")


def test_the_next_switch_cancels_an_invite_that_was_challenged(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", phones.PASSWORD)

    def trunk(peer: Peer) -> None:
        first = peer.receive("INVITE")
        peer.respond(first, "401 Unauthorized", headers=(phones.CHALLENGE,))
        while "\nAuthorization: " not in (invite := peer.receive("INVITE", skip=("ACK",))):
            pass  # the first one again
        peer.respond(invite, "180 Ringing")
        canceled: list[str] = []
        while via_of(invite) not in canceled:
            assert len(canceled) < 3
            cancel = peer.receive("CANCEL", skip=("ACK", "INVITE"))
            canceled.append(via_of(cancel))
            matches = canceled[-1] == via_of(invite)
            peer.respond(cancel, "200 OK" if matches else "481 Call/Transaction Does Not Exist")

    with running_peer(trunk) as (port, peer):
        credentials = {"username": phones.USERNAME, "password_variable": "POKETALK_GATEWAY_TRUNK"}
        service.gateway(A, port, **credentials)
        service.gateway_to_nobody(B)
        call = service.queue(max_duration=60)
        with switch(speed=1, SWITCH_SIP_PORT=str(free_port())) as process:
            wait_for(call.legs.filter(ringing_at__isnull=False).exists)
            process.kill()
            process.wait()
        serve(Engine("next"), until=lambda: ended(call)() and peer.done())
        peer.result(20)


def via_of(message: str) -> str:
    return next(line for line in message.split("\n") if line.startswith("Via"))


def test_a_phone_that_is_answered_after_its_switch_was_killed_is_hung_up(
    service: SipService,
) -> None:
    """The next switch knows nothing of it but the response."""
    killed = threading.Event()
    invites: list[str] = []

    def callee(peer: Peer) -> None:
        invites.append(peer.receive("INVITE"))
        peer.respond(invites[0], "180 Ringing")
        assert killed.wait(30)
        peer.respond(invites[0], "200 OK", SDP)
        ack = peer.receive("ACK")
        assert ack.startswith(f"ACK sip:127.0.0.1:{peer.port}")
        peer.respond(invites[0], "200 OK", SDP)  # our ACK was lost
        assert peer.receive("ACK", skip=("BYE",)) == ack
        bye = peer.receive("BYE")
        assert ";tag=peer" in bye
        peer.respond(bye, "200 OK")

    with running_peer(callee) as (port, peer):
        service.gateway(A, port)
        service.gateway_to_nobody(B)
        call = service.queue(max_duration=60)
        with switch(speed=1, SWITCH_SIP_PORT=str(service.port)) as process:
            wait_for(call.legs.filter(ringing_at__isnull=False).exists)
            process.kill()
            process.wait()
        Call.objects.update(lease_until=timezone.now() + timedelta(hours=1))  # nobody recovers it

        async def during() -> None:
            await asyncio.to_thread(wait_until_bound, service.port)
            killed.set()

        serve(Engine("next"), until=peer.done, during=during)
        peer.result(20)


def test_a_response_to_an_invite_that_is_not_ours_is_ignored(
    stack: Any, phone: socket.socket
) -> None:
    """Otherwise, everybody could make the switch send messages to any address."""
    stack.take_from(frozenset({"127.0.0.1"}))
    ours, theirs = branch("ours", 1), branch("theirs", 1)
    port = stack.config["_sip_port"]

    def send(branch_of_via: str, cseq: int, tag: str = "forged") -> None:
        lines = [
            "SIP/2.0 200 OK",
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch={branch_of_via}",
            "From: <sip:switch@127.0.0.1>;tag=switch",
            f"To: <sip:phone@127.0.0.1>;tag={tag}",
            "Call-ID: ours",
            f"CSeq: {cseq} INVITE",
            f"Contact: <sip:127.0.0.1:{phone.getsockname()[1]}>",
            "Content-Length: 0",
        ]
        phone.sendto("\r\n".join([*lines, "", ""]).encode(), ("127.0.0.1", port))

    send(theirs, 1)
    send(ours, 2)
    send(f"z9hG4bK{'0' * 32}", 1)
    send(ours, 1, tag="phone")

    received = [phone.recv(65_535).decode() for _ in range(2)]

    assert [message.split()[0] for message in received] == ["ACK", "BYE"]
    assert all(";tag=phone" in message for message in received)
    assert "CSeq: 1 ACK" in received[0]
    assert "CSeq: 2 BYE" in received[1]


def test_the_next_switch_answers_a_challenge_to_its_bye(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", phones.PASSWORD)
    challenge = [
        phones.receive("BYE"),
        phones.respond("401 Unauthorized", headers=(phones.CHALLENGE,)),
        phones.receive_with_digest("BYE"),
        phones.branch_on_digest(phones.respond("200 OK"), phones.respond("403 Forbidden")),
    ]
    credentials = {"username": phones.USERNAME, "password_variable": "POKETALK_GATEWAY_TRUNK"}
    a = service.phone(A, [*phones.ANSWER, *challenge], **credentials)
    service.phone(B, phones.RING)
    call = service.queue(max_duration=60)
    # Use the same port: SIPp sends responses to the source of the INVITE and ignores Via.
    with switch(speed=1, SWITCH_SIP_PORT=str(service.port)) as process:
        wait_for(lambda: Call.objects.filter(pk=call.pk, status=5).exists())
        process.kill()
        process.wait()

    serve(Engine("next"), until=ended(call))

    assert a.result() == ""
    assert "SIP/2.0 403" not in a.messages()


def test_a_switch_that_resumes_after_its_lease_expired_hangs_up_its_calls(
    service: SipService,
) -> None:
    a = service.phone(A, [*phones.ANSWER, *phones.ACCEPT_REINVITE, *phones.ACCEPT_BYE])
    b = service.phone(B, [*phones.ANSWER, *phones.ACCEPT_BYE])
    call = service.queue(max_duration=60)
    with switch(speed=1, SWITCH_SIP_PORT=str(free_port())) as process:
        wait_for(talking(call))
        process.send_signal(signal.SIGSTOP)
        serve(Engine("next"), until=ended(call))
        row = Call.objects.values().get()
        process.send_signal(signal.SIGCONT)
        assert (a.result(), b.result()) == ("", "")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)

    assert "drops its calls" in output
    assert Call.objects.values().get() == row


def test_sigterm_hangs_up_all_calls(service: SipService) -> None:
    a, b = (
        service.phone(A, phones.CALL_WITH_REINVITE),
        service.phone(B, phones.CALL_WITHOUT_REINVITE),
    )
    call = service.queue(max_duration=60)
    with switch(speed=1, SWITCH_SIP_PORT=str(free_port())) as process:
        wait_for(talking(call))
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)

    assert process.returncode == 0, output
    assert (a.result(), b.result()) == ("", "")
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (8, Cause.SWITCH_STOPPED)
