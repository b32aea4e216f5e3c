"""When the next gateway is tried, and when it is not."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from django_poketalk.server.models import Call
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.sip import causes, gateway
from django_poketalk.server.switch.gateways.sip import leg as sip_leg
from django_poketalk.server.switch.gateways.sip.health import TrunkHealth
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from tests.server.switch.conftest import closing, ended, eventually, serve

from . import phones
from .conftest import A, B, SipService, leg
from .peer import Peer, running_peer
from .ports import free_port

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize(
    "status",
    [
        "402 Payment Required",
        "403 Forbidden",
        "421 Extension Required",
        "501 Not Implemented",
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


@pytest.mark.parametrize(
    ("codes", "status", "is_tried"),
    [
        ("", "404 Not Found", False),
        ("", "480 Temporarily Unavailable", False),
        ("", "484 Address Incomplete", False),
        ("", "486 Busy Here", False),
        ("", "600 Busy Everywhere", False),
        ("", "603 Decline", False),
        ("404 484", "404 Not Found", True),
        ("404 484", "503 Service Unavailable", False),
    ],
)
def test_the_failover_codes_decide_whether_the_next_gateway_is_tried(
    service: SipService, codes: str, status: str, is_tried: bool
) -> None:
    first = service.phone(A, phones.reject(status), priority=1, failover_codes=codes)
    spare = service.phone(A, phones.reject("486 Busy Here"), priority=2)

    call = service.place()

    assert first.result() == ""
    assert bool(spare.messages()) == is_tried
    assert call.legs.count() == 1 + is_tried


def test_a_trunk_is_passed_over_for_as_long_as_its_retry_after_says(service: SipService) -> None:
    refused_at: list[float] = []
    calls: list[Call] = []

    def overloaded(peer: Peer) -> None:
        retry_after = ("Retry-After: 3;duration=60 (full)",)
        peer.respond(peer.receive("INVITE"), "503 Service Unavailable", headers=retry_after)
        refused_at.append(time.monotonic())
        peer.receive("ACK")
        invite = peer.receive("INVITE")
        assert time.monotonic() > refused_at[0] + 3
        peer.respond(invite, "603 Decline")
        peer.receive("ACK")

    def spare(peer: Peer) -> None:
        for _ in range(2):
            peer.respond(peer.receive("INVITE"), "486 Busy Here")
            peer.receive("ACK")

    def place() -> None:
        calls.append(service.queue())

    async def during() -> None:
        for _ in range(2):
            await asyncio.to_thread(closing, place)
            await eventually(ended(*calls))
        await asyncio.sleep(refused_at[0] + 3.1 - time.monotonic())
        await asyncio.to_thread(closing, place)

    with running_peer(overloaded) as (port, first), running_peer(spare) as (spare_port, second):
        service.gateway(A, port, priority=1)
        service.gateway(A, spare_port, priority=2)
        service.gateway_to_nobody(B)
        serve(Engine("test"), until=lambda: len(calls) == 3 and ended(*calls)(), during=during)
        first.result(20)
        second.result(20)

    attempts = [[(row.sip_status, row.hangup_cause) for row in call.legs.all()] for call in calls]
    assert attempts == [
        [(503, "gateway_down"), (486, "busy")],
        [(486, "busy")],
        [(603, "declined")],
    ]


def test_retry_after_is_bounded_and_about_the_trunk_alone() -> None:
    assert causes.retry_after(503, ["120;duration=60 (full)"]) == 120
    assert causes.retry_after(503, [" 7 (maintenance)", "soon"]) == 7
    assert causes.retry_after(503, ["-5", "٥", ""]) == 0
    assert causes.retry_after(480, ["120"]) == 0  # when the callee is back

    state = TrunkHealth()
    state.pass_over(86_400, now=100)
    assert state.is_passed_over(399)
    assert not state.is_passed_over(400)


def test_without_progress_the_attempt_is_canceled_and_the_next_gateway_is_tried(
    service: SipService,
) -> None:
    """100 alone is no progress: a proxy sends it before it knows whether anything answers."""
    only_trying = [
        phones.receive_invite(),
        phones.respond_to_invite("100 Trying", tag=""),
        *phones.ACCEPT_CANCEL,
    ]
    stuck = service.phone(A, only_trying, priority=1, progress_timeout=1)
    spare = service.phone(A, phones.reject("486 Busy Here"), priority=2)

    call = service.place()

    assert (stuck.result(), spare.result()) == ("", "")
    first = leg(call, Side.A)
    assert (first.hangup_cause, first.sip_status) == (Cause.GATEWAY_DOWN, 408)
    assert (call.status, call.hangup_cause) == (2, Cause.BUSY)


@pytest.mark.parametrize("progress", ["180 Ringing", "183 Session Progress"])
def test_a_phone_that_rings_is_not_canceled_by_the_progress_timeout(
    service: SipService, progress: str
) -> None:
    ringing = [
        phones.receive_invite(),
        phones.respond_to_invite(progress),
        phones.pause(1500),
        phones.respond_to_invite("486 Busy Here"),
        phones.receive("ACK"),
    ]
    a = service.phone(A, ringing, priority=1, progress_timeout=1)
    spare = service.phone(A, phones.RING, priority=2)

    call = service.place()

    assert (a.result(), spare.messages()) == ("", "")
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
