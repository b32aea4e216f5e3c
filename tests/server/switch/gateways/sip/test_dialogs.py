"""Calls that end in each phase, and requests within a dialog: re-INVITE, INFO and others."""

from __future__ import annotations

import time

import pytest

from django_poketalk.server.switch.gateways.sip.call import SipCall
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from tests.server.switch.customer import Customer, EventQuery

from . import phones
from .conftest import A, B, SipService, leg
from .phones import Step

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RING_UNTIL_CANCELED = [*phones.RING, *phones.ACCEPT_CANCEL]
HANG_UP: list[Step] = [phones.send_request("BYE", 2), phones.receive_response(200)]
RECEIVE_ACK_AND_BYE: list[Step] = [
    phones.receive("ACK", body="m=audio 9 RTP/AVP"),
    *phones.ACCEPT_BYE,
]


@pytest.mark.parametrize(
    ("status", "a_steps", "b_steps", "final"),
    [
        (1, RING_UNTIL_CANCELED, None, 2),
        (3, [*phones.ANSWER, *phones.ACCEPT_BYE], RING_UNTIL_CANCELED, 4),
        (5, [*phones.ANSWER, *phones.ACCEPT_BYE], RING_UNTIL_CANCELED, 4),
        (7, phones.CALL_WITH_REINVITE, phones.CALL_WITHOUT_REINVITE, 8),
    ],
)
def test_a_veto_ends_the_call_in_each_phase(
    service: SipService, status: int, a_steps: list[Step], b_steps: list[Step] | None, final: int
) -> None:
    a = service.phone(A, a_steps)
    b = service.phone(B, b_steps) if b_steps else None

    def veto(event: EventQuery) -> bool:
        time.sleep(0.7)  # let the phone ring first
        return int(event["status"]) >= status

    with Customer(veto) as customer:
        call = service.place(max_duration=30, eventurl=customer.eventurl)

    assert a.result() == ""
    assert b is None or b.result() == ""
    assert (call.status, call.hangup_cause) == (final, Cause.VETOED)
    assert customer.statuses()[-1] == final


def test_leg_a_hangs_up_while_its_re_invite_is_pending(service: SipService) -> None:
    """B has answered but not received its ACK: it receives ACK with an SDP answer, then BYE."""
    a = service.phone(A, [*phones.ANSWER, phones.receive("INVITE"), *HANG_UP])
    b = service.phone(
        B, [*phones.RING, phones.respond_to_invite("200 OK", phones.sdp()), *RECEIVE_ACK_AND_BYE]
    )

    call = service.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert call.hangup_cause == Cause.NORMAL
    assert "m=audio 9 RTP/AVP" in b.messages()
    assert "a=inactive" in b.messages()


def test_a_re_invite_is_sent_again_after_491_request_pending(service: SipService) -> None:
    pending = [
        phones.receive("INVITE"),
        phones.respond("491 Request Pending"),
        phones.receive("ACK"),
    ]
    a = service.phone(A, [*phones.ANSWER, *pending, *phones.ACCEPT_REINVITE, *phones.ACCEPT_BYE])
    b = service.phone(B, [*phones.ANSWER, *HANG_UP])

    call = service.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_dtmf_in_info_is_forwarded_to_the_other_phone(service: SipService) -> None:
    a = service.phone(
        A,
        [
            *phones.ANSWER,
            *phones.ACCEPT_REINVITE,
            phones.receive("INFO", body="Signal=7"),
            phones.respond("200 OK"),
            *phones.ACCEPT_BYE,
        ],
    )
    dtmf = phones.send_request("INFO", 2, "Signal=7\nDuration=160")
    b = service.phone(
        B,
        [
            *phones.ANSWER,
            phones.pause(400),
            dtmf.replace("application/sdp", "application/dtmf-relay"),
            phones.receive_response(200),
            *phones.ACCEPT_BYE,
        ],
    )

    service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert "application/dtmf-relay" in a.messages()


def test_an_unsupported_method_is_rejected(service: SipService) -> None:
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    message = [phones.pause(400), phones.send_request("MESSAGE", 2), phones.receive_response(405)]
    b = service.phone(B, [*phones.ANSWER, *message, *phones.ACCEPT_BYE])

    service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_183_only_counts_as_ringing_if_early_media_is_disabled(service: SipService) -> None:
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    b = service.phone(
        B,
        [
            phones.receive_invite(),
            phones.respond_to_invite("183 Session Progress", phones.sdp()),
            phones.pause(300),
            phones.respond_to_invite("200 OK", phones.sdp()),
            phones.receive("ACK", body="m=audio"),
            *phones.ACCEPT_BYE,
        ],
    )

    call = service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert call.status == 8
    assert leg(call, Side.B).ringing_at is not None


def test_a_hold_by_the_caller_is_forwarded_to_the_callee(service: SipService) -> None:
    a = service.phone(
        A, [*phones.ANSWER, *phones.ACCEPT_REINVITE, *phones.hold(200), *phones.ACCEPT_BYE]
    )
    b = service.phone(
        B,
        [
            *phones.ANSWER,
            phones.receive("INVITE", body="a=sendonly"),
            phones.respond("200 OK", phones.sdp(4, "a=recvonly")),
            phones.receive("ACK"),
            *phones.ACCEPT_BYE,
        ],
    )

    call = service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert call.hangup_cause == Cause.MAX_DURATION
    assert "a=recvonly" in a.messages()


def test_a_re_invite_with_an_unchanged_offer_is_not_forwarded(service: SipService) -> None:
    """Session timers (RFC 4028) send such re-INVITEs."""
    refresh = [
        phones.pause(400),
        phones.send_request(
            "INVITE", 2, phones.sdp(), headers=("Session-Expires: 90;refresher=uac", "Min-SE: 90")
        ),
        phones.receive_response(200),
        phones.send_request("ACK", 2, retry=False),
    ]
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    b = service.phone(B, [*phones.ANSWER, *refresh, *phones.ACCEPT_BYE])

    service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")


def test_a_hold_that_the_other_phone_rejects_does_not_change_the_media(service: SipService) -> None:
    """The 488 is forwarded to the phone that sent the hold, and a later hold still works."""
    a = service.phone(
        A,
        [
            *phones.ANSWER,
            *phones.ACCEPT_REINVITE,
            phones.receive("INVITE", body="a=sendonly"),
            phones.respond("488 Not Acceptable Here"),
            phones.receive("ACK"),
            phones.receive("INVITE", body="a=inactive"),
            phones.respond("200 OK", phones.sdp(5, "a=inactive")),
            phones.receive("ACK"),
            *phones.ACCEPT_BYE,
        ],
    )
    b = service.phone(
        B,
        [
            *phones.ANSWER,
            *phones.hold(488),
            phones.pause(200),
            phones.send_request("INVITE", 3, phones.sdp(4, "a=inactive")),
            phones.receive_response(200),
            phones.send_request("ACK", 3, retry=False),
            *phones.ACCEPT_BYE,
        ],
    )

    call = service.place(max_duration=3)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)


def test_the_call_goes_on_if_leg_a_rejects_the_offer_after_a_refresh_by_leg_b(
    service: SipService,
) -> None:
    """B sends a re-INVITE without an offer and answers ours. A rejects the resulting re-INVITE."""
    a = service.phone(
        A,
        [
            *phones.ANSWER,
            *phones.ACCEPT_REINVITE,
            phones.receive("INVITE"),
            phones.respond("488 Not Acceptable Here"),
            phones.receive("ACK"),
            *phones.ACCEPT_BYE,
        ],
    )
    b = service.phone(
        B,
        [
            *phones.ANSWER,
            phones.pause(400),
            phones.send_request("INVITE", 2),
            phones.receive_response(200),
            phones.send_request("ACK", 2, phones.sdp(3), retry=False),
            phones.pause(700),
            phones.send_request("BYE", 3),
            phones.receive_response(200),
        ],
    )

    call = service.place(max_duration=5)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.NORMAL)


def test_a_hold_that_the_other_phone_redirects_is_rejected(service: SipService) -> None:
    a = service.phone(
        A,
        [
            *phones.ANSWER,
            *phones.ACCEPT_REINVITE,
            phones.receive("INVITE", body="a=sendonly"),
            phones.respond("302 Moved Temporarily"),
            phones.receive("ACK"),
            *phones.ACCEPT_BYE,
        ],
    )
    b = service.phone(
        B,
        [
            *phones.ANSWER,
            *phones.hold(302),
            *phones.ACCEPT_BYE,
        ],
    )

    call = service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.MAX_DURATION)


def test_leg_b_tries_the_next_gateway_but_not_after_it_was_answered(service: SipService) -> None:
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    down = service.phone(B, phones.reject("503 Service Unavailable"), priority=1)
    answer_and_hang_up = [
        *phones.ANSWER,
        phones.send_request("BYE", 2),
        phones.receive_response(200),
    ]
    up = service.phone(B, answer_and_hang_up, priority=2)
    spare = service.phone(B, phones.RING, priority=3)

    call = service.place(max_duration=30)

    assert (a.result(), down.result(), up.result(), spare.messages()) == ("", "", "", "")
    assert leg(call, Side.B).sip_status == 503
    assert [row.answered_at is not None for row in call.legs.filter(side=Side.B)] == [False, True]


def test_an_internal_error_hangs_up_both_phones(
    service: SipService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise LookupError("on purpose")

    monkeypatch.setattr(SipCall, "_connect_media", fail)
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    b = service.phone(B, phones.CALL_WITHOUT_REINVITE)

    call = service.place(max_duration=30)

    assert (a.result(), b.result()) == ("", "")
    assert (call.status, call.hangup_cause) == (8, Cause.SWITCH_ERROR)
    assert "on purpose" in caplog.text


def test_sdp_with_non_ascii_text_is_forwarded_with_the_correct_content_length(
    service: SipService,
) -> None:
    """Content-Length counts bytes, not characters. sippy tolerates a few missing bytes."""
    description = phones.sdp().replace("s=-", "s=Größenverhältnismäßigkeitsprüfungsschlüsselgerät")
    a = service.phone(A, phones.CALL_WITH_REINVITE)
    answer = [*phones.RING, phones.respond_to_invite("200 OK", description), phones.receive("ACK")]
    b = service.phone(B, [*answer, *phones.ACCEPT_BYE])

    call = service.place(max_duration=2)

    assert (a.result(), b.result()) == ("", "")
    assert call.status == 8
