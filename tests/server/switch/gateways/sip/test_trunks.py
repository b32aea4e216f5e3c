"""What a trunk asks for, and what it can bear: digest, numbers, failing over, limits."""

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
from .conftest import A, B, Lines, free_port, leg
from .peer import Peer, playing
from .phones import CHALLENGE, PASSWORD, USERNAME, Step

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CHALLENGED: list[Step] = [
    phones.invited(),
    phones.answered_with("401 Unauthorized", headers=(CHALLENGE,), tag=";tag=challenged"),
    phones.gets_with_digest("INVITE"),
    phones.gets("ACK"),
]
LETS_IN = phones.checks_digest(
    phones.answered_with("200 OK", phones.sdp(), late=True),
    phones.answered_with("403 Forbidden", late=True),
)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("TRUNK_PASSWORD", PASSWORD)
    return {"username": USERNAME, "password_variable": "TRUNK_PASSWORD"}


def test_a_challenge_is_answered(lines: Lines, credentials: dict[str, str]) -> None:
    a = lines.phone(A, [*CHALLENGED, LETS_IN, phones.gets("ACK"), *phones.PUT_DOWN], **credentials)
    lines.phone(B, phones.refuses("486 Busy Here"))

    call = lines.place()

    assert a.result() == ""
    assert (call.status, call.hangup_cause) == (6, Cause.BUSY)
    assert PASSWORD not in a.messages()


@pytest.mark.parametrize("password", ["wrong", ""])
def test_without_the_right_password_the_call_fails(
    lines: Lines, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", password)
    refuses = [*CHALLENGED, LETS_IN, phones.gets("ACK")]
    challenges = phones.refuses("401 Unauthorized", headers=(CHALLENGE,))
    a = lines.phone(A, refuses if password else challenges, **credentials)

    call = lines.place()

    assert a.result() == ""
    assert (call.status, call.hangup_cause) == (2, Cause.REJECTED)
    assert leg(call, Side.A).sip_status == (403 if password else 401)


def test_a_challenge_to_bye_is_answered(lines: Lines, credentials: dict[str, str]) -> None:
    challenges = [
        phones.gets("BYE"),
        phones.responds("401 Unauthorized", headers=(CHALLENGE,)),
        phones.gets_with_digest("BYE"),
        phones.checks_digest(phones.responds("200 OK"), phones.responds("403 Forbidden")),
    ]
    a = lines.phone(A, [*phones.PICKED_UP, *challenges], **credentials)
    lines.phone(B, phones.refuses("486 Busy Here"))

    lines.place()

    assert a.result() == ""
    assert "SIP/2.0 403" not in a.messages()


def test_the_password_is_nowhere_to_be_seen(lines: Lines, credentials: dict[str, str]) -> None:
    row = lines.gateway(A, 5999, **credentials)

    assert row.trunk is not None
    assert row.trunk.password == PASSWORD
    assert PASSWORD not in repr(row.trunk)
    assert PASSWORD not in str(vars(row))


def test_numbers_are_written_as_the_trunk_wants_them(lines: Lines) -> None:
    a = lines.phone(
        A,
        phones.refuses("486 Busy Here"),
        strip_digits=2,
        add_prefix="+44",
        from_domain="trunk.example",
        caller_id="fixed",
        caller_number="442079460000",
    )

    lines.place()

    assert a.result() == ""
    assert f"INVITE sip:+44{A[2:]}01@127.0.0.1" in a.messages()
    assert "From: <sip:442079460000@trunk.example>" in a.messages()


@pytest.mark.parametrize(
    ("shown", "header"),
    [
        ("other", f"From: <sip:{B}02@127.0.0.1>"),
        ("anonymous", "<sip:anonymous@anonymous.invalid>"),
    ],
)
def test_caller_id(lines: Lines, shown: str, header: str) -> None:
    a = lines.phone(A, phones.refuses("486 Busy Here"), caller_id=shown)

    lines.place()

    assert header in a.messages()


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
def test_another_gateway_is_tried(lines: Lines, status: str) -> None:
    down = lines.phone(A, phones.refuses(status), priority=1)
    up = lines.phone(A, [*phones.PICKED_UP, *phones.PUT_DOWN], priority=2)
    lines.phone(B, phones.refuses("486 Busy Here"))

    call = lines.place()

    assert (down.result(), up.result()) == ("", "")
    assert call.status == 6
    first, second = leg(call, Side.A), leg(call, Side.A, 2)
    assert (first.sip_status, first.answered_at) == (int(status[:3]), None)
    assert second.answered_at is not None


def test_another_gateway_is_tried_when_nobody_answers_at_all(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_leg, "NO_REPLY", 0.5)
    monkeypatch.setattr(gateway, "CLOSE_TIMEOUT", 0.5)  # nobody answers CANCEL either
    lines.gateway(A, free_port(), priority=1)
    up = lines.phone(A, phones.refuses("486 Busy Here"), priority=2)

    call = lines.place()

    assert up.result() == ""
    assert leg(call, Side.A).hangup_cause == Cause.GATEWAY_DOWN
    assert (call.status, call.hangup_cause) == (2, Cause.BUSY)


def test_a_trunk_that_has_said_anything_is_not_taken_for_down(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_leg, "NO_REPLY", 0.5)
    rings_long = [phones.invited(), phones.answered_with("100 Trying", tag=""), phones.pauses(900)]
    refuses = [phones.answered_with("486 Busy Here", late=True), phones.gets("ACK")]
    a = lines.phone(A, [*rings_long, *refuses], priority=1)
    spare = lines.phone(A, phones.RINGS, priority=2)

    call = lines.place()

    assert (a.result(), spare.messages()) == ("", "")
    assert (call.status, call.hangup_cause) == (2, Cause.BUSY)


def test_an_invite_expires_when_the_phone_has_rung_long_enough(lines: Lines) -> None:
    """So that none rings on for a switch that has died."""
    a = lines.phone(A, phones.refuses("486 Busy Here"), ring_timeout=17)

    lines.place()

    assert a.result() == ""
    assert "Expires: 17\n" in a.messages()


def test_a_trunk_that_comes_to_life_after_it_was_given_up_is_cancelled(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two phones would ring for one call."""
    monkeypatch.setattr(sip_leg, "NO_REPLY", 0.3)

    def sleeper(peer: Peer) -> None:
        invite = peer.gets("INVITE")
        assert given_up.wait(20)
        peer.answers(invite, "180 Ringing")
        peer.answers(peer.gets("CANCEL", past=("INVITE",)), "200 OK")
        peer.answers(invite, "487 Request Terminated")
        peer.gets("ACK", past=("INVITE", "CANCEL"))

    def spare(peer: Peer) -> None:
        invite = peer.gets("INVITE")
        given_up.set()
        peer.answers(invite, "180 Ringing")
        assert cancelled.wait(20)
        peer.answers(invite, "486 Busy Here")

    given_up, cancelled = threading.Event(), threading.Event()
    with playing(sleeper) as (slow_port, slow), playing(spare) as (port, up):
        slow.add_done_callback(lambda done: cancelled.set())
        lines.gateway(A, slow_port, priority=1)
        lines.gateway(A, port, priority=2)
        call = lines.place()
        slow.result(20)
        up.result(20)

    assert (call.status, call.hangup_cause) == (2, Cause.BUSY)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "sip..example.com"])
def test_a_host_that_nobody_knows_is_a_gateway_that_is_down(lines: Lines, host: str) -> None:
    row = lines.gateway(A, 5060, ring_timeout=2)
    type(row).objects.update(host=host)

    call = lines.place()

    assert (call.status, call.hangup_cause) == (2, Cause.GATEWAY_DOWN)


def test_a_port_that_is_taken_is_a_gateway_that_is_down(lines: Lines) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", lines.port))
        lines.phone(A, phones.RINGS)

        call = lines.place()

    assert (call.status, call.hangup_cause) == (2, Cause.GATEWAY_DOWN)


def test_calls_past_a_trunk_s_channels_go_another_way(lines: Lines) -> None:
    full = lines.phone(A, [*phones.PICKED_UP, *phones.PUT_DOWN], priority=1, max_channels=1)
    spare = lines.phone(A, phones.refuses("486 Busy Here"), priority=2)
    lines.phone(B, [*phones.RINGS, *phones.CANCELLED], ring_timeout=2)
    first, second = lines.queue(max_duration=30), lines.queue(max_duration=30)

    lines.place_all(first, second)

    assert (full.result(), spare.result()) == ("", "")
    assert {first.status, second.status} == {2, 6}


def test_a_phone_that_is_put_down_makes_room_and_is_not_rung_any_more(lines: Lines) -> None:
    async def ring_twice(port: int) -> None:
        sip = gateway.SipGateway(Clock(), lambda call, fact: told.append(fact))
        route = Route(1, "sip", 30, SipTrunk("127.0.0.1", port, max_channels=1))
        await sip.open()
        for call in (1, 2):
            leg = LegKey(CallKey(call, 1), Side.A, 1)
            sip.originate(leg, "1", "2", route)
            sip.hang_up(leg, Cause.HANG_UP_REQUESTED)
        await sip.close()

    told: list[LegFact] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        asyncio.run(ring_twice(phone.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            phone.recv(1)

    assert told == []


def test_calls_past_a_trunk_s_rate_go_another_way(lines: Lines) -> None:
    slow = lines.phone(A, phones.refuses("486 Busy Here"), priority=1, calls_per_second=1)
    spare = lines.phone(A, phones.refuses("603 Decline"), priority=2)
    first, second = lines.queue(), lines.queue()

    lines.place_all(first, second)  # both are taken at one look

    assert (slow.result(), spare.result()) == ("", "")
    assert {first.hangup_cause, second.hangup_cause} == {Cause.BUSY, Cause.DECLINED}


def test_a_trunk_is_down_after_two_probes_without_an_answer() -> None:
    state, trunk = TrunkHealth(), SipTrunk("127.0.0.1", keep_alive=10)
    assert state.probe_due(0, trunk)
    assert not state.probe_due(9, trunk)
    assert state.probe_due(10, trunk)
    assert (state.record(408), state.up) == (False, True)
    assert (state.record(408), state.up) == (True, False)
    assert (state.record(405), state.up) == (True, True)


def test_a_trunk_that_was_down_and_is_asked_no_more_is_tried(lines: Lines) -> None:
    """It could never rise, as nothing would tell."""

    async def ring(keep_alive: int) -> bool:
        trunk = SipTrunk("127.0.0.1", lines.port, keep_alive=keep_alive)
        sip = gateway.SipGateway(Clock(), lambda call, fact: told.append(fact))
        await sip.open()
        sip._health[1] = TrunkHealth(up=False)
        sip.originate(LegKey(CallKey(1, 1), Side.A, 1), "1", "2", Route(1, "sip", 30, trunk))
        await asyncio.sleep(0)
        await sip.close()
        return not told

    told: list[LegFact] = []
    assert asyncio.run(ring(keep_alive=0))
    assert not asyncio.run(ring(keep_alive=10))


def test_a_trunk_that_is_down_is_passed_over_until_it_answers_again(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WATCH", 0.2)
    monkeypatch.setattr(health, "DOWN_AFTER", 1)
    is_down, may_rise, is_up = threading.Event(), threading.Event(), threading.Event()

    def trunk(peer: Peer) -> None:
        peer.answers(peer.gets("OPTIONS"), "503 Service Unavailable")
        probe = peer.gets("OPTIONS")  # so the first answer has been taken
        is_down.set()
        assert may_rise.wait(30)
        peer.answers(probe, "200 OK")
        while peer.gets("OPTIONS") == probe:  # sent again meanwhile
            pass
        is_up.set()
        invite = peer.gets("INVITE", past=("OPTIONS",))
        peer.answers(invite, "486 Busy Here")

    spare = lines.phone(A, phones.refuses("603 Decline"), priority=2)
    calls: list[Call] = []

    def place() -> None:
        calls.append(lines.queue())

    async def during() -> None:
        assert await asyncio.to_thread(is_down.wait, 30)
        await asyncio.to_thread(closing, place)
        await eventually(ended(*calls))
        may_rise.set()
        assert await asyncio.to_thread(is_up.wait, 30)
        await asyncio.to_thread(closing, place)

    with playing(trunk) as (port, played):
        lines.gateway(A, port, priority=1, keep_alive=1)
        serve(Engine("test"), until=lambda: len(calls) == 2 and ended(*calls)(), during=during)
        played.result(30)

    assert spare.result() == ""
    tried = [[(row.sip_status, row.hangup_cause) for row in call.legs.all()] for call in calls]
    assert tried == [[(0, "gateway_down"), (603, "declined")], [(486, "busy")]]


def test_options_are_sent_and_answered(lines: Lines) -> None:
    answers = ['<recv request="OPTIONS"></recv>', phones.responds("200 OK")]
    trunk = lines.phone(A, answers, keep_alive=5)

    lines.idle(until=lambda: trunk.process.poll() is not None)

    assert trunk.result() == ""
