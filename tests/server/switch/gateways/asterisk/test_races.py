"""Answers to requests, events, and hang-ups of the switch may come in any order."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from django_poketalk.server.switch.gateways.asterisk import connection, endings
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Failed,
    Ringing,
    Side,
)

from .ari import Ari
from .channels import Phone
from .desk import A, Desk, at, until

SLOW = 1.5  # seconds until an answer that events overtake, on a busy machine too
RINGS, ANSWERS = Ringing(Side.A, 1), Answered(Side.A, 1)


def kinds(facts: list[object]) -> list[type]:
    return [type(fact) for fact in facts]


def failed(cause: Cause = Cause.GATEWAY_DOWN, *, transport: bool, q850: int = 0) -> Failed:
    return Failed(Side.A, 1, cause, transport, 0, q850)


def test_a_phone_is_rung_answered_and_put_down_under_a_name_of_ours(pbx: Ari) -> None:
    async def script(desk: Desk) -> None:
        desk.ring(A)
        facts = await desk.told(of=2)
        [channel] = pbx.channels
        assert facts == [RINGS, Answered(Side.A, 1, dialog=channel)]
        assert channel == f"{desk.app}.17.1.A1"
        desk.hang_up(A)
        await until(lambda: not pbx.channels)

    assert kinds(at(pbx, script)) == [Ringing, Answered]  # an end of our own is not reported


@pytest.mark.parametrize(
    ("cause", "reason"),
    [(Cause.NORMAL, 16), (Cause.NO_ANSWER, 19), (Cause.VETOED, 16), (Cause.GATEWAY_DOWN, 34)],
)
def test_asterisk_is_told_why_a_phone_is_put_down(pbx: Ari, cause: Cause, reason: int) -> None:
    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=2)
        desk.hang_up(A, cause)

    at(pbx, script)

    assert list(pbx.ended.values()) == [reason]


def test_a_phone_whose_time_asterisk_finds_to_be_up_has_not_been_answered(pbx: Ari) -> None:
    """Asterisk's clock may be the first, and gives no cause."""
    pbx.phones = {"02": Phone(rings=False, answers=None)}

    async def script(desk: Desk) -> None:
        desk.route = replace(desk.route, ring_timeout=1)
        desk.ring(A, "02")
        await desk.told(of=1)

    assert at(pbx, script) == [failed(Cause.NO_ANSWER, transport=False)]


def test_events_may_come_before_the_answer(pbx: Ari) -> None:
    pbx.slow = SLOW

    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(SLOW - 0.1, of=2)
        await asyncio.sleep(SLOW)

    assert kinds(at(pbx, script)) == [Ringing, Answered]


def test_a_phone_that_has_failed_before_the_answer_fails_once(pbx: Ari) -> None:
    pbx.slow, pbx.phones = SLOW, {"01": Phone(rings=False, answers=None, fails=0, cause=17)}

    async def script(desk: Desk) -> None:
        desk.ring(A, "01")
        await desk.told(SLOW - 0.1, of=1)
        await asyncio.sleep(SLOW)

    assert at(pbx, script) == [failed(Cause.BUSY, transport=False, q850=17)]


@pytest.mark.parametrize("silent", [set(), {("POST", "channels")}])
def test_a_leg_that_is_over_before_the_answer_rings_no_phone_on(
    pbx: Ari, silent: set[tuple[str, str]]
) -> None:
    pbx.silent = silent
    pbx.late, pbx.phones = 0.2, {"02": Phone(answers=None)}
    pbx.tells = False  # or else its first event would do

    async def script(desk: Desk) -> None:
        await desk.listen()
        desk.ring(A, "02")
        await until(lambda: pbx.asked("POST", "channels"))
        desk.hang_up(A)

    at(pbx, script)

    assert (len(pbx.made), pbx.channels) == (1, {})


def test_a_leg_that_is_over_before_the_request_is_never_asked_for(pbx: Ari) -> None:
    async def script(desk: Desk) -> None:
        desk.ring(A)
        desk.hang_up(A)
        await desk.listen()

    assert at(pbx, script) == []
    assert [method for method, *_ in pbx.requests] == ["GET", "PUT"]


@pytest.mark.parametrize("kind", ["Dial", "ChannelStateChange"])
def test_either_event_tells_that_a_phone_rings(pbx: Ari, kind: str) -> None:
    pbx.phones = {"02": Phone(rings=False, answers=None)}

    async def script(desk: Desk) -> None:
        desk.ring(A, "02")
        await until(lambda: pbx.channels)
        channel = {"id": f"{desk.app}.17.1.A1", "state": "Down" if kind == "Dial" else "Ringing"}
        event = {"type": kind, "dialstatus": "RINGING", "peer": channel, "channel": channel}
        pbx.tell(desk.app, json.dumps(event))
        assert await desk.told(of=1) == [RINGS]

    at(pbx, script)


def test_a_channel_that_is_up_is_not_answered_before_it_is_ours(pbx: Ari) -> None:
    """Nobody pays for a phone that Asterisk hangs up, since our application is not there."""
    pbx.phones = {"02": Phone(answers=None)}

    async def script(desk: Desk) -> None:
        desk.ring(A, "02")
        await desk.told(of=1)
        [channel] = pbx.channels.values()
        up = channel.as_json() | {"state": "Up"}
        pbx.tell(desk.app, json.dumps({"type": "ChannelStateChange", "channel": up}))
        pbx.put_down(channel, 16)
        await desk.told(of=2)

    assert at(pbx, script) == [RINGS, failed(Cause.NO_ANSWER, transport=False, q850=16)]


def test_an_answer_that_does_not_come_matters_not_where_events_do(pbx: Ari) -> None:
    pbx.silent = {("POST", "channels")}

    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=2)

    assert kinds(at(pbx, script)) == [Ringing, Answered]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_a_refusal_lets_another_gateway_be_tried(pbx: Ari, status: int) -> None:
    pbx.answers = {("POST", "channels"): status}

    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=1)

    assert at(pbx, script) == [failed(transport=True)]


def test_without_a_clear_answer_another_is_tried_only_when_no_phone_rings(pbx: Ari) -> None:
    pbx.answers = {("POST", "channels"): 502}

    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=1)
        pbx.answers[("DELETE", "channels")] = 503
        desk.ring(A)
        await desk.told(of=2)
        pbx.answers = {("POST", "channels"): 504}  # it may still be carried out
        desk.ring(A)
        await desk.told(of=3)

    assert at(pbx, script) == [failed(transport=each) for each in (True, False, False)]


def test_a_phone_that_may_have_rung_is_not_rung_another_way(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request was carried out, but its answer is lost, and so are the events."""
    pbx.silent, pbx.phones = {("POST", "channels")}, {"02": Phone(answers=None)}
    pbx.tells = False

    async def script(desk: Desk) -> None:
        desk.ring(A, "02")
        await desk.told(of=1)

    assert at(pbx, script) == [failed(transport=False)]
    assert (len(pbx.made), pbx.channels) == (1, {})


@pytest.mark.parametrize("phone", [Phone(answers=None), Phone(rings=False, answers=0)])
def test_a_phone_that_rings_after_its_leg_was_given_up_is_put_down(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, phone: Phone
) -> None:
    """A request that went unanswered may be carried out after the DELETE that follows it, and that
    found nothing. Nobody is rung twice, so no other gateway is tried.
    """
    monkeypatch.setattr(connection, "ANSWER_WITHIN", 0.1)
    pbx.late, pbx.phones = 0.2, {"02": phone}

    async def script(desk: Desk) -> None:
        await desk.listen()
        desk.ring(A, "02")
        assert await desk.told(of=1) == [failed(transport=False)]
        await until(lambda: pbx.made and not pbx.channels)

    at(pbx, script)

    assert "rings no phone: no answer in time" in caplog.text


def test_a_delete_that_fails_is_sent_again(pbx: Ari, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "AGAIN", (0.05, 0.05))
    pbx.answers = {("DELETE", "channels"): 503}

    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=2)
        desk.hang_up(A)
        await until(lambda: any(method == "DELETE" for method, *_ in pbx.requests))
        pbx.answers.clear()
        await until(lambda: not pbx.channels)

    at(pbx, script)
