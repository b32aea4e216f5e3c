"""Options of SIP trunks: authentication, limits, keep-alive."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time

import pytest

from django_poketalk.server.models import Call, Channel, Gateway, GatewayState
from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch import engine
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.gateways.sip import gateway, health
from django_poketalk.server.switch.gateways.sip.health import TrunkHealth
from django_poketalk.server.switch.machine.facts_and_commands import Cause, LegFact, Route, Side
from tests.server.switch.conftest import closing, ended, eventually, serve

from . import phones
from .conftest import A, B, SipService, leg
from .peer import SDP, Peer, running_peer
from .phones import CHALLENGE, PASSWORD, USERNAME, Step
from .ports import free_port

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CHALLENGE_INVITE: list[Step] = [
    phones.receive_invite(),
    phones.respond_to_invite("401 Unauthorized", headers=(CHALLENGE,), tag=";tag=challenged"),
    phones.receive_with_digest("INVITE"),
    phones.receive("ACK"),
]
CHECK_CREDENTIALS = phones.branch_on_digest(
    phones.respond_to_invite("200 OK", phones.sdp(), saved_headers=True),
    phones.respond_to_invite("403 Forbidden", saved_headers=True),
)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", PASSWORD)
    return {"username": USERNAME, "password_variable": "POKETALK_GATEWAY_TRUNK"}


def test_a_challenge_to_invite_is_answered(
    service: SipService, credentials: dict[str, str]
) -> None:
    a = service.phone(
        A,
        [*CHALLENGE_INVITE, CHECK_CREDENTIALS, phones.receive("ACK"), *phones.ACCEPT_BYE],
        **credentials,
    )
    service.phone(B, phones.reject("486 Busy Here"))

    call = service.place()

    assert a.result() == ""
    assert (call.status, call.hangup_cause) == (6, Cause.BUSY)
    assert PASSWORD not in a.messages()


@pytest.mark.parametrize("password", ["wrong", ""])
def test_the_call_fails_without_the_correct_password(
    service: SipService, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", password)
    reject = [*CHALLENGE_INVITE, CHECK_CREDENTIALS, phones.receive("ACK")]
    only_challenge = phones.reject("401 Unauthorized", headers=(CHALLENGE,))
    a = service.phone(A, reject if password else only_challenge, **credentials)

    call = service.place()

    assert a.result() == ""
    assert (call.status, call.hangup_cause) == (2, Cause.REJECTED)
    assert leg(call, Side.A).sip_status == (403 if password else 401)


def test_a_challenge_to_bye_is_answered(service: SipService, credentials: dict[str, str]) -> None:
    challenge_bye = [
        phones.receive("BYE"),
        phones.respond("401 Unauthorized", headers=(CHALLENGE,)),
        phones.receive_with_digest("BYE"),
        phones.branch_on_digest(phones.respond("200 OK"), phones.respond("403 Forbidden")),
    ]
    a = service.phone(A, [*phones.ANSWER, *challenge_bye], **credentials)
    service.phone(B, phones.reject("486 Busy Here"))

    service.place()

    assert a.result() == ""
    assert "SIP/2.0 403" not in a.messages()


def test_the_password_is_not_in_the_row_or_in_a_repr(
    service: SipService, credentials: dict[str, str]
) -> None:
    row = service.gateway(A, 5999, **credentials)

    assert row.trunk is not None
    assert row.trunk.password == PASSWORD
    assert PASSWORD not in repr(row.trunk)
    assert PASSWORD not in str(vars(row))


def test_the_invite_expires_after_the_ring_timeout(service: SipService) -> None:
    """So no phone keeps ringing after its switch was killed."""
    a = service.phone(A, phones.reject("486 Busy Here"), ring_timeout=17)

    service.place()

    assert a.result() == ""
    assert "Expires: 17\n" in a.messages()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "sip..example.com"])
def test_a_trunk_whose_host_does_not_resolve_is_down(service: SipService, host: str) -> None:
    row = service.gateway(A, 5060, ring_timeout=2)
    type(row).objects.update(host=host)

    call = service.place()

    assert (call.status, call.hangup_cause) == (2, Cause.GATEWAY_DOWN)


def test_the_gateway_is_down_if_the_sip_port_is_in_use(service: SipService) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", service.port))
        service.phone(A, phones.RING)

        call = service.place()

    assert (call.status, call.hangup_cause) == (2, Cause.GATEWAY_DOWN)


def test_calls_beyond_the_channels_of_a_trunk_use_the_next_gateway(service: SipService) -> None:
    full = service.phone(A, [*phones.ANSWER, *phones.ACCEPT_BYE], priority=1, max_channels=1)
    spare = service.phone(A, phones.reject("486 Busy Here"), priority=2)
    service.phone(B, [*phones.RING, *phones.ACCEPT_CANCEL], ring_timeout=2)
    first, second = service.queue(max_duration=30), service.queue(max_duration=30)

    service.place_all(first, second)

    assert (full.result(), spare.result()) == ("", "")
    assert {first.status, second.status} == {2, 6}


def test_a_leg_that_is_hung_up_at_once_sends_no_invite(service: SipService) -> None:
    async def originate_twice(port: int) -> None:
        sip = gateway.SipGateway(Clock(), lambda call, fact: facts.append(fact))
        route = Route(1, "sip", 30, SipTrunk("127.0.0.1", port))
        await sip.open()
        for call in (1, 2):
            leg = LegKey(CallKey(call, 1), Side.A, 1)
            sip.originate(leg, "1", "2", route)
            sip.hang_up(leg, Cause.HANG_UP_REQUESTED)
        await sip.close()

    facts: list[LegFact] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        asyncio.run(originate_twice(phone.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            phone.recv(1)

    assert facts == []


def test_calls_beyond_the_rate_of_a_trunk_use_the_next_gateway(service: SipService) -> None:
    """One waits for a second first."""
    spare = service.phone(A, phones.reject("603 Decline"), priority=2)
    calls = [service.queue() for _ in range(3)]
    invited: list[float] = []

    def busy(peer: Peer) -> None:
        for _ in range(2):
            invite = peer.receive("INVITE", skip=("ACK",))
            invited.append(time.monotonic())
            peer.respond(invite, "486 Busy Here")
        peer.receive("ACK")

    with running_peer(busy) as (port, peer):
        service.gateway(A, port, priority=1, calls_per_second=1)
        service.place_all(*calls)  # one query claims all
        peer.result(20)

    assert spare.result() == ""
    causes = sorted(call.hangup_cause for call in calls)
    assert causes == sorted([Cause.BUSY, Cause.BUSY, Cause.DECLINED])
    assert invited[1] - invited[0] > 0.5  # a second, less what the first one took to open the port


def test_leg_b_waits_for_the_rate_of_the_trunk_that_both_legs_use(service: SipService) -> None:
    """Otherwise A would be rung for nothing."""

    def both(peer: Peer) -> None:
        for status, text in (("200 OK", SDP), ("486 Busy Here", "")):
            peer.respond(peer.receive("INVITE", skip=("ACK",)), status, text)
        peer.respond(peer.receive("BYE", skip=("ACK",)), "200 OK")

    with running_peer(both) as (port, peer):
        service.gateway("", port, calls_per_second=1)
        call = service.place()
        peer.result(20)

    assert leg(call, Side.B).hangup_cause == Cause.BUSY


def test_a_trunk_is_down_after_two_failed_probes() -> None:
    state, trunk = TrunkHealth(), SipTrunk("127.0.0.1", keep_alive=10)
    assert state.probe_due(0, trunk)
    assert not state.probe_due(9, trunk)
    assert state.probe_due(10, trunk)
    problem = health.problem_of(408)
    assert (state.record(problem), state.problem) == (False, None)
    assert (state.record(problem), state.problem) == (True, problem)
    assert (state.record(health.problem_of(405)), state.problem) == (True, "")


def test_a_trunk_that_falls_silent_is_down_within_two_intervals(service: SipService) -> None:
    """And the reason is stored for all switches and for people."""
    died_at: list[float] = []

    def trunk(peer: Peer) -> None:
        peer.respond(peer.receive("OPTIONS"), "200 OK")
        died_at.append(time.monotonic())

    with running_peer(trunk) as (port, peer):
        row = service.gateway(A, port, keep_alive=5)
        service.run_idle(until=GatewayState.objects.filter(gateway=row, is_up=False).exists)
        found_after = time.monotonic() - died_at[0]
        peer.result(20)

    assert found_after < 2 * 5 + 5  # the margin is for a busy machine


def test_a_trunk_that_was_down_is_tried_if_probes_are_disabled(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No probe could report it as up again."""
    monkeypatch.setattr(gateway, "CLOSE_TIMEOUT", 0.5)  # the CANCEL gets no response

    async def originate(keep_alive: int) -> bool:
        trunk = SipTrunk("127.0.0.1", free_port(), keep_alive=keep_alive)
        sip = gateway.SipGateway(Clock(), lambda call, fact: None)
        await sip.open()
        sip._health[1] = TrunkHealth(problem="no response to OPTIONS")
        leg = LegKey(CallKey(1, 1), Side.A, 1)
        sip.originate(leg, "1", "2", Route(1, "sip", 30, trunk))
        is_tried = leg in sip._limits
        await sip.close()
        return is_tried

    assert asyncio.run(originate(keep_alive=0))
    assert not asyncio.run(originate(keep_alive=10))


def test_a_trunk_that_is_down_is_skipped_until_it_responds_again(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WATCH", 0.2)
    works = threading.Event()

    def trunk(peer: Peer) -> None:
        while not (request := peer.receive("", ())).startswith("INVITE"):
            if request.startswith("OPTIONS"):
                peer.respond(request, "200 OK" if works.is_set() else "503 Service Unavailable")
        peer.respond(request, "486 Busy Here")

    spare = service.phone(A, phones.reject("603 Decline"), priority=2)
    service.gateway_to_nobody(B)
    calls: list[Call] = []

    def place() -> None:
        calls.append(service.queue())

    async def during() -> None:
        await eventually(GatewayState.objects.filter(gateway=row, is_up=False).exists)
        await asyncio.to_thread(closing, place)
        await eventually(ended(*calls))
        works.set()
        await eventually(GatewayState.objects.filter(gateway=row, is_up=True).exists)
        await asyncio.to_thread(closing, place)

    with running_peer(trunk) as (port, trunk_done):
        row = service.gateway(A, port, priority=1, keep_alive=1)
        serve(Engine("test"), until=lambda: len(calls) == 2 and ended(*calls)(), during=during)
        trunk_done.result(30)

    assert spare.result() == ""
    attempts = [[(row.sip_status, row.hangup_cause) for row in call.legs.all()] for call in calls]
    assert attempts == [[(603, "declined")], [(486, "busy")]]


def test_more_calls_than_channels_ring_nobody_in_vain(service: SipService) -> None:
    """Three calls share two channels of a real trunk: they follow each other."""
    order: list[str] = []

    def trunk(peer: Peer) -> None:
        """Answer leg A, and reject leg B, of three calls."""
        dialogs: set[str] = set()
        over = 0
        while over < 3:
            request = peer.receive("")
            call_id = re.findall(r"^Call-ID: (.*)$", request, re.MULTILINE)[0]
            if request.startswith("INVITE") and call_id not in dialogs:
                dialogs.add(call_id)
                is_a = f"sip:{A}" in request.partition("\n")[0]
                order.append("A" if is_a else "B")
                peer.respond(request, "200 OK" if is_a else "486 Busy Here", SDP if is_a else "")
            elif request.startswith("BYE"):
                peer.respond(request, "200 OK")
                over += 1

    with running_peer(trunk) as (port, done):
        Gateway.objects.filter(pk=service.gateway("", port).pk).update(max_channels=2)
        calls = [service.queue() for _ in range(3)]
        serve(Engine("test"), until=ended(*calls))
        done.result(20)

    results = [(call.status, call.hangup_cause) for call in Call.objects.all()]
    assert results == [(6, "busy")] * 3
    assert order == ["A", "B"] * 3
    assert not Channel.objects.exists()


def test_options_requests_are_sent_to_the_trunk(service: SipService) -> None:
    respond_to_options = ['<recv request="OPTIONS"></recv>', phones.respond("200 OK")]
    trunk = service.phone(A, respond_to_options, keep_alive=5)

    service.run_idle(until=lambda: trunk.process.poll() is not None)

    assert trunk.result() == ""
