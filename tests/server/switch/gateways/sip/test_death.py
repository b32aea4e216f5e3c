"""A switch that dies or freezes while real phones talk: they are put down, by somebody."""

from __future__ import annotations

import signal

import pytest

from django_poketalk.server.models import Call
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.machine.facts_and_commands import Cause
from tests.server.switch.conftest import ended, serve
from tests.server.switch.processes import switch, talking, wait_for

from . import phones
from .conftest import A, B, Lines, free_port

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_the_next_switch_puts_down_the_phones_of_a_killed_one(lines: Lines) -> None:
    a, b = lines.phone(A, phones.ANSWERS_AS_A), lines.phone(B, phones.ANSWERS_AS_B)
    call = lines.queue(max_duration=60)
    with switch(speed=1, SWITCH_SIP_PORT=str(free_port())) as process:
        wait_for(talking(call))
        process.kill()
        process.wait()
    assert call.legs.exclude(dialog="").count() == 2

    serve(Engine("next"), until=ended(call))

    assert (a.result(), b.result()) == ("", "")  # each got its BYE
    call.refresh_from_db()
    assert (call.status, call.hangup_cause, call.held) == (8, Cause.SWITCH_LOST, 0)
    assert not call.legs.exclude(dialog="").exists()


def test_a_challenge_to_that_bye_is_answered(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", phones.PASSWORD)
    challenges = [
        phones.gets("BYE"),
        phones.responds("401 Unauthorized", headers=(phones.CHALLENGE,)),
        phones.gets_with_digest("BYE"),
        phones.checks_digest(phones.responds("200 OK"), phones.responds("403 Forbidden")),
    ]
    credentials = {"username": phones.USERNAME, "password_variable": "TRUNK_PASSWORD"}
    a = lines.phone(A, [*phones.PICKED_UP, *challenges], **credentials)
    lines.phone(B, phones.RINGS)
    call = lines.queue(max_duration=60)
    # On the same port: SIPp responds to where its call came from, whatever Via says.
    with switch(speed=1, SWITCH_SIP_PORT=str(lines.port)) as process:
        wait_for(lambda: Call.objects.filter(pk=call.pk, status=5).exists())
        process.kill()
        process.wait()

    serve(Engine("next"), until=ended(call))

    assert a.result() == ""
    assert "SIP/2.0 403" not in a.messages()


def test_a_switch_that_wakes_past_its_lease_puts_its_phones_down_itself(lines: Lines) -> None:
    a = lines.phone(A, [*phones.PICKED_UP, *phones.JOINED_AS_A, *phones.PUT_DOWN])
    b = lines.phone(B, [*phones.PICKED_UP, *phones.PUT_DOWN])
    call = lines.queue(max_duration=60)
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


def test_sigterm_puts_the_phones_down(lines: Lines) -> None:
    a, b = lines.phone(A, phones.ANSWERS_AS_A), lines.phone(B, phones.ANSWERS_AS_B)
    call = lines.queue(max_duration=60)
    with switch(speed=1, SWITCH_SIP_PORT=str(free_port())) as process:
        wait_for(talking(call))
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)

    assert process.returncode == 0, output
    assert (a.result(), b.result()) == ("", "")
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (8, Cause.SWITCH_STOPPED)
