"""Options of SIP trunks: authentication, failover, limits, keep-alive."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from django_poketalk.server.models import Call
from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch import engine
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.gateways.sip import gateway, health
from django_poketalk.server.switch.gateways.sip import leg as sip_leg
from django_poketalk.server.switch.gateways.sip.health import TrunkHealth
from django_poketalk.server.switch.machine.facts_and_commands import Cause, LegFact, Route, Side
from tests.server.switch.conftest import closing, ended, eventually, serve

from . import phones
from .conftest import A, B, SipService, free_port, leg
from .peer import Peer, running_peer
from .phones import CHALLENGE, PASSWORD, USERNAME, Step

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
    monkeypatch.setenv("TRUNK_PASSWORD", PASSWORD)
    return {"username": USERNAME, "password_variable": "TRUNK_PASSWORD"}


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
    monkeypatch.setenv("TRUNK_PASSWORD", password)
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


@pytest.mark.parametrize(
    "status",
    [
        "408 Request Timeout",
        "500 Server Internal Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Server Time-out",
    ],
)
def test_the_next_gateway_is_tried_if_a_trunk_fails(service: SipService, status: str) -> None:
    down = service.phone(A, phones.reject(status), priority=1)
    up = service.phone(A, [*phones.ANSWER, *phones.ACCEPT_BYE], priority=2)
    service.phone(B, phones.reject("486 Busy Here"))

    call = service.place()

    assert (down.result(), up.result()) == ("", "")
    assert call.status == 6
    first, second = leg(call, Side.A), leg(call, Side.A, 2)
    assert (first.sip_status, first.answered_at) == (int(status[:3]), None)
    assert second.answered_at is not None


def test_the_next_gateway_is_tried_if_a_trunk_does_not_respond(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_leg, "NO_REPLY", 0.5)
    monkeypatch.setattr(gateway, "CLOSE_TIMEOUT", 0.5)  # there is no response to CANCEL either
    service.gateway(A, free_port(), priority=1)
    up = service.phone(A, phones.reject("486 Busy Here"), priority=2)

    call = service.place()

    assert up.result() == ""
    assert leg(call, Side.A).hangup_cause == Cause.GATEWAY_DOWN
    assert (call.status, call.hangup_cause) == (2, Cause.BUSY)


def test_a_trunk_that_has_responded_with_100_trying_is_not_down(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_leg, "NO_REPLY", 0.5)
    respond_with_trying = [
        phones.receive_invite(),
        phones.respond_to_invite("100 Trying", tag=""),
        phones.pause(900),
    ]
    reject = [phones.respond_to_invite("486 Busy Here", saved_headers=True), phones.receive("ACK")]
    a = service.phone(A, [*respond_with_trying, *reject], priority=1)
    spare = service.phone(A, phones.RING, priority=2)

    call = service.place()

    assert (a.result(), spare.messages()) == ("", "")
    assert (call.status, call.hangup_cause) == (2, Cause.BUSY)


def test_the_invite_expires_after_the_ring_timeout(service: SipService) -> None:
    """So no phone keeps ringing after its switch was killed."""
    a = service.phone(A, phones.reject("486 Busy Here"), ring_timeout=17)

    service.place()

    assert a.result() == ""
    assert "Expires: 17\n" in a.messages()


def test_a_trunk_that_responds_after_the_next_gateway_was_tried_is_canceled(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise two phones would ring for one call."""
    monkeypatch.setattr(sip_leg, "NO_REPLY", 0.3)

    def slow_trunk(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        assert failed_over.wait(20)
        peer.respond(invite, "180 Ringing")
        peer.respond(peer.receive("CANCEL", skip=("INVITE",)), "200 OK")
        peer.respond(invite, "487 Request Terminated")
        peer.receive("ACK", skip=("INVITE", "CANCEL"))

    def next_trunk(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        failed_over.set()
        peer.respond(invite, "180 Ringing")
        assert cancelled.wait(20)
        peer.respond(invite, "486 Busy Here")

    failed_over, cancelled = threading.Event(), threading.Event()
    with running_peer(slow_trunk) as (slow_port, slow), running_peer(next_trunk) as (port, up):
        slow.add_done_callback(lambda done: cancelled.set())
        service.gateway(A, slow_port, priority=1)
        service.gateway(A, port, priority=2)
        call = service.place()
        slow.result(20)
        up.result(20)

    assert (call.status, call.hangup_cause) == (2, Cause.BUSY)


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


def test_a_leg_that_is_hung_up_at_once_frees_its_channel_and_sends_no_invite(
    service: SipService,
) -> None:
    async def originate_twice(port: int) -> None:
        sip = gateway.SipGateway(Clock(), lambda call, fact: facts.append(fact))
        route = Route(1, "sip", 30, SipTrunk("127.0.0.1", port, max_channels=1))
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
    slow = service.phone(A, phones.reject("486 Busy Here"), priority=1, calls_per_second=1)
    spare = service.phone(A, phones.reject("603 Decline"), priority=2)
    first, second = service.queue(), service.queue()

    service.place_all(first, second)  # one query claims both

    assert (slow.result(), spare.result()) == ("", "")
    assert {first.hangup_cause, second.hangup_cause} == {Cause.BUSY, Cause.DECLINED}


def test_a_trunk_is_down_after_two_failed_probes() -> None:
    state, trunk = TrunkHealth(), SipTrunk("127.0.0.1", keep_alive=10)
    assert state.probe_due(0, trunk)
    assert not state.probe_due(9, trunk)
    assert state.probe_due(10, trunk)
    assert (state.record(408), state.up) == (False, True)
    assert (state.record(408), state.up) == (True, False)
    assert (state.record(405), state.up) == (True, True)


def test_a_trunk_that_was_down_is_tried_if_probes_are_disabled(service: SipService) -> None:
    """No probe could report it as up again."""

    async def originate(keep_alive: int) -> bool:
        trunk = SipTrunk("127.0.0.1", service.port, keep_alive=keep_alive)
        sip = gateway.SipGateway(Clock(), lambda call, fact: facts.append(fact))
        await sip.open()
        sip._health[1] = TrunkHealth(up=False)
        sip.originate(LegKey(CallKey(1, 1), Side.A, 1), "1", "2", Route(1, "sip", 30, trunk))
        await asyncio.sleep(0)
        await sip.close()
        return not facts

    facts: list[LegFact] = []
    assert asyncio.run(originate(keep_alive=0))
    assert not asyncio.run(originate(keep_alive=10))


def test_a_trunk_that_is_down_is_skipped_until_it_responds_again(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WATCH", 0.2)
    monkeypatch.setattr(health, "DOWN_AFTER", 1)
    is_down, may_respond, is_up = threading.Event(), threading.Event(), threading.Event()

    def trunk(peer: Peer) -> None:
        peer.respond(peer.receive("OPTIONS"), "503 Service Unavailable")
        probe = peer.receive("OPTIONS")  # the first response has been processed
        is_down.set()
        assert may_respond.wait(30)
        peer.respond(probe, "200 OK")
        while peer.receive("OPTIONS") == probe:  # a retransmission
            pass
        is_up.set()
        invite = peer.receive("INVITE", skip=("OPTIONS",))
        peer.respond(invite, "486 Busy Here")

    spare = service.phone(A, phones.reject("603 Decline"), priority=2)
    calls: list[Call] = []

    def place() -> None:
        calls.append(service.queue())

    async def during() -> None:
        assert await asyncio.to_thread(is_down.wait, 30)
        await asyncio.to_thread(closing, place)
        await eventually(ended(*calls))
        may_respond.set()
        assert await asyncio.to_thread(is_up.wait, 30)
        await asyncio.to_thread(closing, place)

    with running_peer(trunk) as (port, trunk_done):
        service.gateway(A, port, priority=1, keep_alive=1)
        serve(Engine("test"), until=lambda: len(calls) == 2 and ended(*calls)(), during=during)
        trunk_done.result(30)

    assert spare.result() == ""
    attempts = [[(row.sip_status, row.hangup_cause) for row in call.legs.all()] for call in calls]
    assert attempts == [[(0, "gateway_down"), (603, "declined")], [(486, "busy")]]


def test_options_requests_are_sent_to_the_trunk(service: SipService) -> None:
    respond_to_options = ['<recv request="OPTIONS"></recv>', phones.respond("200 OK")]
    trunk = service.phone(A, respond_to_options, keep_alive=5)

    service.run_idle(until=lambda: trunk.process.poll() is not None)

    assert trunk.result() == ""
