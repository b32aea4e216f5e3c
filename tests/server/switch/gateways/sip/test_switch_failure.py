"""A switch that stops, is killed or freezes during calls: every phone receives a BYE."""

from __future__ import annotations

import signal

import pytest

from django_poketalk.server.models import Call
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.machine.facts_and_commands import Cause
from tests.server.switch.conftest import ended, serve
from tests.server.switch.processes import switch, talking, wait_for

from . import phones
from .conftest import A, B, SipService, free_port

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


def test_the_next_switch_answers_a_challenge_to_its_bye(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", phones.PASSWORD)
    challenge = [
        phones.receive("BYE"),
        phones.respond("401 Unauthorized", headers=(phones.CHALLENGE,)),
        phones.receive_with_digest("BYE"),
        phones.branch_on_digest(phones.respond("200 OK"), phones.respond("403 Forbidden")),
    ]
    credentials = {"username": phones.USERNAME, "password_variable": "TRUNK_PASSWORD"}
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
