"""The query API: an account reads its own calls, with its own key, from its allowed addresses."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import override_settings

from django_poketalk.server.models import Account, AllowedAddress, ApiKey, Call, EventDelivery, Leg

from ..conftest import CALLEE, CALLER, Customer, make_customer

CALLS = "/api/calls/"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Queued = Callable[..., Call]


def get(customer: Customer, path: str = CALLS, secret: str | None = None, **query: Any) -> Any:
    headers = {"Authorization": f"Api-Key {secret or customer.secret}"}
    return customer.client.get(path, query, headers=headers)


def cursor(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_finds_a_call_by_its_custom(customer: Customer, queued: Queued) -> None:
    expected = queued(custom="web 1&x=ü ")
    queued(custom="web2")
    response = get(customer, custom="web 1&x=ü ")
    assert response.status_code == 200
    assert [call["id"] for call in response.json()["results"]] == [expected.pk]
    assert get(customer, custom="web3").json()["results"] == []


def test_a_call_contains_its_legs_and_events(customer: Customer, queued: Queued) -> None:
    call = queued(
        custom="web1",
        eventurl="https://crm.example.com/e",
        state=Call.State.ENDED,
        status=8,
        duration=75,
        cost=Decimal("1.5"),
        hangup_cause="b_hung_up",
        created_at=NOON,
        ended_at=NOON + timedelta(minutes=2),
    )
    leg = {
        "call": call,
        "price_per_minute": Decimal("0.6"),
        "connect_fee": 0,
        "initial_increment": 1,
        "subsequent_increment": 1,
        "initiated_at": NOON,
    }
    Leg.objects.create(side="B", number=CALLEE, cost=Decimal("0.7"), duration=70, **leg)
    Leg.objects.create(
        side="A", number=CALLER, cost=Decimal("0.8"), answered_at=NOON, hangup_cause="x", **leg
    )
    EventDelivery.objects.create(
        call=call,
        sequence=1,
        status=1,
        duration=0,
        cost=0,
        sent_at=NOON,
        seconds=0.25,
        answer=None,
        error="timeout",
    )
    body = get(customer, f"{CALLS}{call.pk}/").json()
    legs = body.pop("legs")
    assert body == {
        "id": call.pk,
        "custom": "web1",
        "from_number": CALLER,
        "to_number": CALLEE,
        "to_extension": "",
        "presented_number": "",
        "state": "ended",
        "status": 8,
        "duration": 75,
        "max_duration": 3600,
        "cost": "1.500",
        "currency": "EUR",
        "hangup_cause": "b_hung_up",
        "eventurl": "https://crm.example.com/e",
        "created_at": "2026-03-01T12:00:00Z",
        "ended_at": "2026-03-01T12:02:00Z",
        "final_event_due_at": None,
        "events": [
            {
                "sequence": 1,
                "status": 1,
                "duration": 0,
                "cost": "0.000",
                "sent_at": "2026-03-01T12:00:00Z",
                "seconds": 0.25,
                "answer": None,
                "error": "timeout",
            }
        ],
    }
    assert [leg["side"] for leg in legs] == ["A", "B"]
    assert legs[0] == {
        "side": "A",
        "attempt": 1,
        "number": CALLER,
        "initiated_at": "2026-03-01T12:00:00Z",
        "ringing_at": None,
        "answered_at": "2026-03-01T12:00:00Z",
        "ended_at": None,
        "duration": 0,
        "cost": "0.800",
        "hangup_cause": "x",
    }


def test_the_list_is_paginated_newest_first(customer: Customer, queued: Queued) -> None:
    pks = [queued(custom=str(number)).pk for number in range(205)]
    first = get(customer).json()
    assert [call["id"] for call in first["results"]] == pks[:-51:-1]
    second = get(customer, first["next"]).json()
    assert [call["id"] for call in second["results"]] == pks[-51:-101:-1]
    assert len(get(customer, page_size=200).json()["results"]) == 200


def test_the_number_of_queries_does_not_grow_with_the_calls(
    customer: Customer, queued: Queued, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        queued(custom=str(number))
    get(customer)  # stores the use of the key, once a minute
    with django_assert_num_queries(4):  # key, addresses, calls, legs
        assert len(get(customer).json()["results"]) == 20


def test_calls_of_other_accounts_are_not_found(customer: Customer, queued: Queued) -> None:
    call = queued(custom="web1")
    other = make_customer("Other")
    assert get(other, custom="web1").json()["results"] == []
    assert get(other, f"{CALLS}{call.pk}/").status_code == 404
    assert get(customer, f"{CALLS}{call.pk}/").status_code == 200


def problem_detail(response: HttpResponse, status: int) -> str:
    """The detail of the problem in the response, after checks of the rest."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert "no-store" in response["Cache-Control"]
    problem = response.json()
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["title"]
    assert problem["code"]
    detail: str = problem["detail"]
    return detail


@pytest.mark.parametrize(
    "header",
    [None, "", "Api-Key", "Api-Key  ", "Api-Key wrong", "Token x", "Bearer x", "Api-Key ü"],
)
def test_401_without_a_known_key(customer: Customer, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = customer.client.get(CALLS, headers=headers)
    assert problem_detail(response, 401)
    assert response["WWW-Authenticate"] == "Api-Key"


def test_ignores_keys_in_the_url_and_sessions(customer: Customer, admin_user: Any) -> None:
    customer.client.force_login(admin_user)
    response = customer.client.get(CALLS, {"api_key": customer.secret})
    assert response.status_code == 401


def test_401_for_a_revoked_key_or_an_inactive_account(customer: Customer) -> None:
    Account.objects.update(is_active=False)
    assert problem_detail(get(customer), 401)
    Account.objects.update(is_active=True)
    ApiKey.objects.update(revoked_at=NOON)
    assert problem_detail(get(customer), 401)


def test_403_and_a_warning_for_an_address_that_is_not_allowed(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    AllowedAddress.objects.update(network="198.51.100.7/32")
    with caplog.at_level(logging.WARNING, logger="django_poketalk"):
        assert problem_detail(get(customer), 403)
    assert "127.0.0.1" in caplog.text
    assert customer.secret not in caplog.text
    with override_settings(POKETALK_SERVER={"TRUSTED_PROXIES": ["127.0.0.1"]}):
        customer.client.defaults["HTTP_X_FORWARDED_FOR"] = "198.51.100.7"
        assert get(customer).status_code == 200


def test_two_keys_are_valid_at_once_for_rotation(customer: Customer) -> None:
    key, secret = ApiKey.issue(customer.account)
    assert get(customer).status_code == get(customer, secret=secret).status_code == 200
    ApiKey.objects.exclude(pk=key.pk).update(revoked_at=NOON)
    assert get(customer).status_code == 401
    assert get(customer, secret=secret).status_code == 200


@pytest.mark.parametrize("path", [CALLS, CALLS + "1/"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_405_for_methods_that_write(customer: Customer, path: str, method: str) -> None:
    headers = {"Authorization": f"Api-Key {customer.secret}"}
    assert problem_detail(getattr(customer.client, method)(path, headers=headers), 405)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"custom": "a\0b"}, 400),
        ({"custom": "x" * 256}, 400),
        ({"state": "dead"}, 400),
        ({"cursor": "nonsense"}, 400),
        ({"cursor": "\0"}, 200),
        ({"cursor": cursor("p=")}, 400),
        ({"cursor": cursor("p=abc")}, 400),
        ({"cursor": cursor("p=%00")}, 400),
        ({"cursor": cursor("p=" + "9" * 19)}, 200),
        ({"cursor": cursor("p=" + "9" * 5000)}, 400),
        ({"cursor": cursor("o=" + "9" * 5000)}, 400),
        ({"cursor": cursor("r=1&p=5")}, 200),
        ({"page_size": "-1"}, 400),
        ({"page_size": "0"}, 400),
        ({"page_size": "200"}, 200),
        ({"page_size": "201"}, 400),
        ({"page_size": "٣"}, 400),
        ({"nonsense": "1"}, 200),
        ({"custom": ["a", "b"]}, 200),
    ],
)
def test_invalid_queries_are_client_errors(
    customer: Customer, query: dict[str, Any], status: int
) -> None:
    response = get(customer, **query)
    assert response.status_code == status
    if status == 400:
        [error] = response.json()["errors"]
        assert error["parameter"] in query


@pytest.mark.parametrize("number", ["0", "9" * 40, "x", "٣"])
def test_404_for_an_impossible_primary_key(customer: Customer, number: str) -> None:
    assert problem_detail(get(customer, f"{CALLS}{number}/"), 404)


# Hanging up


def hang_up(customer: Customer, call: Call, secret: str | None = None) -> Any:
    headers = {"Authorization": f"Api-Key {secret or customer.secret}"}
    return customer.client.post(f"{CALLS}{call.pk}/hang-up/", headers=headers)


def test_a_live_call_is_hung_up_once(customer: Customer, queued: Queued) -> None:
    call = queued()

    first, second = hang_up(customer, call), hang_up(customer, call)

    assert (first.status_code, first.json()["id"]) == (202, call.pk)
    assert second.status_code == 202
    call.refresh_from_db()
    assert call.hangup_requested_at is not None


@pytest.mark.parametrize("state", Call.OVER)
def test_a_call_that_has_ended_cannot_be_hung_up(
    state: str, customer: Customer, queued: Queued
) -> None:
    call = queued(state=state)

    response = hang_up(customer, call)

    assert (response.status_code, response.json()["code"]) == (409, "call_ended")
    call.refresh_from_db()
    assert call.hangup_requested_at is None


def test_only_the_account_can_hang_up_its_call(customer: Customer, queued: Queued) -> None:
    call = queued()
    other = make_customer("Other")

    assert hang_up(other, call).status_code == 404
    assert hang_up(customer, call, secret="unknown").status_code == 401
    AllowedAddress.objects.update(network="192.0.2.1/32")
    assert hang_up(customer, call).status_code == 403
    call.refresh_from_db()
    assert call.hangup_requested_at is None
