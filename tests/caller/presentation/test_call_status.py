"""The status of a call for the call element: phases, sentences and JSON responses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone, translation

from django_poketalk.button import signed_call
from django_poketalk.models import CallRequest, Phone, Placement
from django_poketalk.presentation import call_status
from tests.crm.models import Contact

from ..people import agent, connected, contact, logged_in, page, someone, token

PLACE = "/poketalk/place/"
JSON = {"Accept": "application/json"}
NewCall = Callable[..., CallRequest]
NOW = timezone.now()
LATER = NOW + timedelta(seconds=2)  # by the clock of another machine


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


@pytest.mark.parametrize(
    ("facts", "phase", "words"),
    [
        ({"placement": Placement.QUEUED, "status": None}, "calling", "Requesting the call …"),
        ({"placement": Placement.QUEUED, "status": None, "attempts": 1}, "calling", "cannot be"),
        ({"placement": Placement.SENDING, "status": None}, "calling", "Requesting the call …"),
        ({"status": None}, "calling", "Calling your phone …"),
        ({"status": 0}, "calling", "Calling your phone …"),
        ({"status": 1}, "calling", "Calling your phone …"),
        ({"status": 3}, "ringing", "Ringing Bob …"),
        ({"status": 5}, "ringing", "Ringing Bob …"),
        ({"status": 7}, "talking", "Connected"),
        ({"status": 7, "hangup_requested_at": NOW}, "ending", "Hanging up …"),
        ({"placement": Placement.UNKNOWN, "status": None}, "unknown", "Check before you call"),
        ({"placement": Placement.UNKNOWN, "status": 1}, "calling", "Calling your phone …"),
        ({"placement": Placement.CANCELLED, "status": None}, "ended", "Canceled before"),
        ({"placement": Placement.EXPIRED, "status": None}, "failed", "could not be placed in time"),
        ({"placement": Placement.FAILED, "status": None}, "failed", "could not be reached"),
        ({"status": 2, "ended_at": NOW}, "failed", "Your phone could not be reached."),
        ({"status": 4, "ended_at": NOW}, "failed", "Ended before Bob answered."),
        ({"status": 6, "ended_at": NOW}, "failed", "Bob could not be reached."),
        (
            {"status": 6, "ended_at": NOW, "hangup_requested_at": NOW},
            "ended",
            "Ended before Bob answered.",
        ),
        ({"status": 7, "stale_at": NOW}, "failed", "No further updates from the service"),
        (
            {"placement": Placement.UNKNOWN, "status": None, "stale_at": NOW},
            "failed",
            "Check before you call again.",
        ),
    ],
)
def test_each_state_of_a_call_has_its_phase_and_sentence(
    facts: dict[str, Any], phase: str, words: str, anna: Any, bob: Contact, new_call: NewCall
) -> None:
    call = connected(new_call(user=anna, subject=bob), **facts)

    assert call_status.phase(call) == phase
    assert words in call_status.sentence(call)


@pytest.mark.parametrize(
    ("veto", "why"),
    [
        ("", ""),
        ("hang-up requested", ""),
        ("maximum duration", " It reached its maximum duration."),
        ("maximum cost", " It reached its maximum cost."),
        ("after hours", " Ended by this site: after hours."),
    ],
)
def test_an_ended_call_has_its_duration_cost_and_reason(
    veto: str, why: str, anna: Any, new_call: NewCall
) -> None:
    facts = {"status": 8, "duration": 192, "ended_at": NOW}
    call = connected(new_call(user=anna), veto_reason=veto, **facts)

    assert call_status.sentence(call) == f"Ended, 3 min 12 s, 0.421{why}"


@pytest.mark.parametrize(
    ("answered_at", "clock"), [(NOW - timedelta(seconds=10), 10), (None, 75), (LATER, 0)]
)
def test_the_clock_starts_at_the_callee_s_answer(
    answered_at: datetime | None, clock: int, anna: Any, new_call: NewCall
) -> None:
    call = connected(new_call(user=anna), b_answered_at=answered_at)

    with time_machine.travel(NOW, tick=False):
        assert call_status.serialize(call, anna)["clock"] == clock


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "61 min 1 s")]
)
def test_a_duration_is_written_in_words(seconds: int, words: str) -> None:
    assert call_status.length(seconds) == words


@pytest.mark.parametrize(
    ("cost", "words"), [("0", ""), ("0.4", "0.40"), ("0.42", "0.42"), ("0.4205", "0.421")]
)
def test_a_cost_has_two_decimals_or_three_if_necessary(cost: str, words: str) -> None:
    assert call_status.cost(Decimal(cost)) == words


@pytest.mark.parametrize(
    ("language", "name", "marked"),
    [("en", "Bob", False), ("en", "דנה", True), ("he", "Bob", True), ("he", "דנה", False)],
)
def test_a_name_in_the_other_direction_is_isolated(language: str, name: str, marked: bool) -> None:
    with translation.override(language):
        assert (call_status.isolated(name) != name) == marked


def test_watchers_get_the_state_instead_of_the_caller_s_sentence(
    anna: Any, new_call: NewCall
) -> None:
    call = connected(new_call(user=anna), status=1)

    rendered = call_status.serialize(call, someone("watcher", "view_callrequest"))

    assert (rendered["sentence"], rendered["may_hang_up"]) == ("Calling the caller", False)


# Answers


def test_a_json_press_returns_the_call_and_its_urls(anna: Any, bob: Contact) -> None:
    order = {"token": token(anna, contact=bob), "next": "/contacts/7/"}

    data = logged_in(anna).post(PLACE, order, headers=JSON).json()

    call = CallRequest.objects.get()
    assert (data["phase"], data["may_hang_up"]) == ("calling", True)
    assert data["status_url"] == f"/poketalk/{call.pk}/status/?next=%2Fcontacts%2F7%2F"
    assert data["hang_up_url"] == f"/poketalk/{call.pk}/hang-up/"
    assert data["link"]["url"] == f"/poketalk/{call.pk}/?next=%2Fcontacts%2F7%2F"


def test_the_next_token_differs_only_in_its_nonce(anna: Any, bob: Contact) -> None:
    signed = token(anna, 'call_button contact field="phone" max_duration=90', contact=bob)

    data = logged_in(anna).post(PLACE, {"token": signed}, headers=JSON).json()

    first, second = (signed_call.read(each, anna) for each in (signed, data["token"]))
    assert first.idempotency_key != second.idempotency_key
    assert (first.source, first.max_duration) == (second.source, second.max_duration)


def test_a_json_refusal_has_a_code_and_a_link(anna: Any, bob: Contact) -> None:
    Phone.objects.all().delete()
    order = {"token": token(anna, contact=bob), "next": "/contacts/7/"}

    data = logged_in(anna).post(PLACE, order, headers=JSON).json()

    assert (data["phase"], data["code"], data["open"]) == ("refused", "no_own_number", False)
    assert data["link"]["url"] == "/poketalk/my-phones/?next=%2Fcontacts%2F7%2F"


def test_a_json_press_without_the_permission_has_a_sentence(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)
    anna.user_permissions.clear()

    response = logged_in(anna).post(PLACE, {"token": signed}, headers=JSON)

    assert (response.status_code, response.json()["sentence"]) == (
        403,
        "You are not allowed to place calls.",
    )


@pytest.mark.parametrize("address", [PLACE, "/poketalk/1/hang-up/", "/poketalk/1/status/"])
def test_a_json_request_without_a_login_is_401(address: str, client: Any, db: None) -> None:
    ask = client.get if address.endswith("status/") else client.post

    response = ask(address, headers=JSON)

    assert response.status_code == 401
    assert response.json()["link"]["url"] == "/admin/login/"


def test_the_login_link_returns_to_the_button(client: Any, db: None) -> None:
    for back, login in (
        ("/contacts/7/", "/admin/login/?next=%2Fcontacts%2F7%2F"),
        ("https://evil.example/", "/admin/login/"),
    ):
        response = client.get("/poketalk/1/status/", {"next": back}, headers=JSON)

        assert response.json()["link"]["url"] == login


@pytest.mark.parametrize(
    "accept", ["*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]
)
def test_other_requests_get_the_html_page(accept: str, anna: Any, bob: Contact) -> None:
    order = {"token": token(anna, contact=bob)}

    page(logged_in(anna).post(PLACE, order, headers={"Accept": accept}), 302)


def test_hanging_up_returns_the_new_status(anna: Any, new_call: NewCall) -> None:
    call = connected(new_call(user=anna))

    data = logged_in(anna).post(f"/poketalk/{call.pk}/hang-up/", headers=JSON).json()

    assert (data["phase"], data["may_hang_up"]) == ("ending", False)


def test_a_plain_service_ends_a_call_at_its_next_report(anna: Any, new_call: NewCall) -> None:
    now = timezone.now()
    call = connected(
        new_call(user=anna),
        hangup_requested_at=now,
        a_answered_at=now - timedelta(seconds=200),
        b_answered_at=now - timedelta(seconds=190),
    )

    data = call_status.serialize(call, anna)

    assert data["sentence"].endswith("Or hang up your phone to end the call now.")
    assert (data["phase"], data["cost_text"]) == ("ending", "0.421")
    assert data["clock"] in (190, 191)
    assert data["next_report"] in (38, 39)  # 240 s after the answer


def test_nobody_knows_when_a_phone_that_rings_reports(anna: Any, new_call: NewCall) -> None:
    call = connected(new_call(user=anna), status=1, a_answered_at=None, hangup_requested_at=NOW)

    data = call_status.serialize(call, anna)

    assert data["sentence"].endswith("Or decline the call on your phone to end it now.")
    assert (data["clock"], data["next_report"]) == (None, None)


def test_a_service_that_was_asked_has_five_seconds_to_end_a_call(
    anna: Any, new_call: NewCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_poketalk.backends.locmem.LocmemBackend.can_ask", True)
    call = connected(new_call(user=anna), hangup_requested_at=timezone.now())

    asked = call_status.serialize(call, anna)
    call.hangup_requested_at -= timedelta(seconds=6)
    in_vain = call_status.serialize(call, anna)

    assert (asked["sentence"], asked["next_report"]) == ("Hanging up …", None)
    assert "at the service’s next report" in in_vain["sentence"]
    assert in_vain["next_report"] is not None


def test_an_unchanged_status_is_304_although_the_clock_runs(anna: Any, new_call: NewCall) -> None:
    call = connected(new_call(user=anna), b_answered_at=NOW - timedelta(seconds=10))
    client, address = logged_in(anna), f"/poketalk/{call.pk}/status/"
    known = {"If-None-Match": client.get(address)["ETag"]}

    CallRequest.objects.update(b_answered_at=NOW - timedelta(seconds=20))
    same = client.get(address, headers=known)
    CallRequest.objects.update(cost=Decimal("0.84"))
    changed = client.get(address, headers=known)

    assert (same.status_code, same.content) == (304, b"")
    assert (changed.status_code, changed.json()["cost_text"]) == (200, "0.84")


def test_a_status_request_makes_a_fixed_number_of_queries(
    anna: Any, bob: Contact, new_call: NewCall, django_assert_num_queries: Any
) -> None:
    call = connected(new_call(user=anna, subject=bob))
    client, address = logged_in(anna), f"/poketalk/{call.pk}/status/"
    client.get(address)

    with django_assert_num_queries(4):  # session, user, call with its users, subject
        client.get(address)


def test_a_call_that_no_worker_takes_still_waits(call: CallRequest) -> None:
    def after(seconds: float) -> str:
        with time_machine.travel(call.not_before + timedelta(seconds=seconds), tick=False):
            return call_status.sentence(call)

    assert after(4) == "Requesting the call …"
    assert after(6) == "The call is still waiting to be placed. No phone has rung yet."

    call.placement = Placement.SENDING
    assert after(6) == "Requesting the call …"


def test_a_cost_has_the_currency_of_its_service(
    call: CallRequest, poketalk: Any, anna: Any
) -> None:
    poketalk(CURRENCY="EUR", SERVICES={"other": {"CURRENCY": "GBP"}})
    call.cost = Decimal("0.42")
    shown = call_status.serialize(call, anna)
    call.service = "other"
    other = call_status.serialize(call, anna)

    assert (shown["cost_text"], shown["cost"], shown["currency"]) == (
        "0.42\u00a0EUR",
        "0.42",
        "EUR",
    )
    assert other["cost_text"] == "0.42\u00a0GBP"
