"""Extensions that are dialed by SIP INFO, one request for each digit."""

from __future__ import annotations

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause

from . import phones
from .conftest import A, B, SipService

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def digit(signal: str, status: str = "200 OK") -> list[str]:
    return [phones.receive("INFO", body=f"Signal={signal}"), phones.respond(status)]


@pytest.mark.parametrize("late_offer", [False, True])
def test_each_digit_is_sent_to_leg_b_in_order(service: SipService, late_offer: bool) -> None:
    reinvite = [] if late_offer else phones.ACCEPT_REINVITE
    a = service.phone(A, [*phones.ANSWER, *reinvite, *phones.ACCEPT_BYE], late_offer=late_offer)
    b = service.phone(
        B, [*phones.ANSWER, *digit("1"), *digit("2"), *phones.ACCEPT_BYE], dtmf="info"
    )

    call = service.place(max_duration=3, to_extension="12")

    assert (a.result(), b.result()) == ("", "")
    assert call.hangup_cause == Cause.MAX_DURATION
    assert "application/dtmf-relay" in b.messages()
    assert "Duration=160" in b.messages()


def test_a_refused_digit_is_the_last_one_and_the_call_goes_on(
    service: SipService, caplog: pytest.LogCaptureFixture
) -> None:
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    refused = digit("1", "415 Unsupported Media Type")
    b = service.phone(B, [*phones.ANSWER, *refused, *phones.ACCEPT_BYE], dtmf="info")

    call = service.place(max_duration=3, to_extension="12")

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)
    assert "The extension was not dialed: INFO: 415" in caplog.text


def test_a_digit_that_meets_a_pending_offer_is_sent_again(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_poketalk.server.switch.gateways.sip import info

    monkeypatch.setattr(info, "AFTER_PENDING", 0.1)
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    again = [*digit("1", "491 Request Pending"), *digit("1", "491 Request Pending"), *digit("1")]
    b = service.phone(B, [*phones.ANSWER, *again, *digit("2"), *phones.ACCEPT_BYE], dtmf="info")

    call = service.place(max_duration=3, to_extension="12")

    assert (a.result(), b.result()) == ("", "")
    assert call.hangup_cause == Cause.MAX_DURATION


def test_a_challenge_is_answered(service: SipService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", phones.PASSWORD)
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    challenged = [
        phones.receive("INFO"),
        phones.respond("401 Unauthorized", headers=(phones.CHALLENGE,)),
        phones.receive_with_digest("INFO"),
        phones.branch_on_digest(phones.respond("200 OK"), phones.respond("403 Forbidden")),
    ]
    b = service.phone(
        B,
        [*phones.ANSWER, *challenged, *digit("2"), *phones.ACCEPT_BYE],
        dtmf="info",
        username=phones.USERNAME,
        password_variable="POKETALK_GATEWAY_TRUNK",
    )

    service.place(max_duration=3, to_extension="12")

    assert (a.result(), b.result()) == ("", "")
