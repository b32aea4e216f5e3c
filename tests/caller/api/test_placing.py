"""Placing calls with the API: orders, permissions, idempotency keys, quotes and throttling."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone, translation

from django_poketalk.models import BlacklistedNumber, CallRequest, Phone

from ..conftest import CALLEE, CALLER
from ..people import agent, contact, someone
from .rest_client import CALLS, QUOTE, client, post, problem, wrong

pytestmark = pytest.mark.django_db


# Placing


def test_a_call_is_placed_from_the_users_own_number(woken: Any) -> None:
    anna = agent()
    response = post(client(anna), CALLS, {"to_number": "+44 20 7946 0123"})

    call = CallRequest.objects.get()
    assert response.status_code == 201
    assert response.headers["Location"] == f"http://testserver{CALLS}{call.pk}/"
    assert "Idempotent-Replayed" not in response.headers
    assert (call.from_number, call.to_number, call.user) == (CALLER, CALLEE, anna)
    data = response.json()
    assert data["from_number"] == CALLER
    assert data["to_number"] == CALLEE
    assert data["phase"] == "calling"
    assert data["placement"] == "queued"
    assert data["status"] is None
    assert data["open"] is True
    assert data["may_hang_up"] is True
    assert data["username"] == "anna"
    assert data["created_at"].endswith("Z")


def test_all_fields_of_an_order_apply() -> None:
    anna = agent("anna", "choose_caller_phone")
    bob = contact()
    later = timezone.now() + timedelta(hours=1)
    give_permission(anna, "crm", "view_contact")
    order = {
        "from_number": "+442079460999",
        "to_number": CALLEE,
        "subject": {"type": "crm.Contact", "id": str(bob.pk)},
        "max_duration": 60,
        "max_cost": "0.5",
        "not_before": later.isoformat(),
        "expires_at": (later + timedelta(minutes=5)).isoformat(),
    }
    data = post(client(anna), CALLS, order).json()

    call = CallRequest.objects.get()
    assert call.from_number == "+442079460999"
    assert call.subject == bob
    assert (call.max_duration, call.max_cost) == (60, Decimal("0.5"))
    assert (call.not_before, call.expires_at) == (later, later + timedelta(minutes=5))
    assert data["subject"] == {"type": "crm.contact", "id": str(bob.pk), "text": "Bob"}
    assert data["max_cost"] == "0.500000"


def give_permission(user: Any, app: str, codename: str) -> None:
    user.user_permissions.add(
        Permission.objects.get(content_type__app_label=app, codename=codename)
    )


def test_null_is_the_same_as_a_missing_field() -> None:
    order = {"to_number": CALLEE, "from_number": None, "subject": None, "max_cost": None}

    assert post(client(agent()), CALLS, order).status_code == 201


def test_a_misspelled_limit_is_an_error() -> None:
    asking = client(agent())

    for path in (CALLS, QUOTE):
        order = {"to_number": CALLEE, "max_durations": 60, "<b>/~": 1}
        data = problem(post(asking, path, order), 400, "invalid")
        assert data["errors"] == [
            {"pointer": "#", "detail": f"There is no field “{name}”.", "code": "unknown"}
            for name in ("<b>/~", "max_durations")
        ]
    assert not CallRequest.objects.exists()


def test_placing_requires_the_permission_to_place_calls() -> None:
    asking = client(someone("eve"))

    for path in (CALLS, QUOTE):
        problem(post(asking, path, {"to_number": CALLEE}), 403, "permission_denied")
    assert not CallRequest.objects.exists()


def test_choosing_the_caller_s_phone_requires_the_permission() -> None:
    order = {"to_number": CALLEE, "from_number": "+442079460999"}

    problem(post(client(agent()), CALLS, order), 403, "permission_denied")
    assert post(client(agent("boss", "choose_caller_phone")), CALLS, order).status_code == 201


def test_without_an_own_number_a_call_is_refused() -> None:
    response = post(client(someone("anna", "place_call")), CALLS, {"to_number": CALLEE})

    assert problem(response, 422, "no_own_number")["field"] == "from_number"


def test_a_refusal_has_a_code_and_a_field() -> None:
    BlacklistedNumber.objects.create(number=CALLEE, reason="Asked not to be called.")
    asking = client(agent())

    for path in (CALLS, QUOTE):
        data = problem(post(asking, path, {"to_number": CALLEE}), 422, "blacklisted")
        assert data["field"] == "to_number"
        assert "Asked not to be called." in data["detail"]
    with translation.override("de"):
        data = problem(post(asking, CALLS, {"to_number": "12"}), 422, "number_invalid")
    assert data["detail"].startswith("„12“ ist zu kurz.")
    assert data["field"] == "to_number"


def test_a_hidden_object_has_the_same_error_as_a_missing_one() -> None:
    anna = agent()
    anna.user_permissions.remove(Permission.objects.get(codename="view_contact"))
    bob = contact()
    asking = client(anna)

    def about(kind: str, pk: str) -> Any:
        body = {"to_number": CALLEE, "subject": {"type": kind, "id": pk}}
        return problem(post(asking, CALLS, body), 422, "subject_unknown")

    hidden = about("crm.contact", str(bob.pk))
    for kind, pk in (
        ("crm.contact", "999"),
        ("crm.contact", "x"),
        ("crm.contact", "9" * 60),
        ("crm.contact", "٣"),
        ("crm.nothing", "1"),
        ("crm", "1"),
        ("..", "1"),
    ):
        assert about(kind, pk) == hidden
    give_permission(anna, "crm", "view_contact")
    body = {"to_number": CALLEE, "subject": {"type": "crm.contact", "id": str(bob.pk)}}
    assert post(client(anna.__class__.objects.get(pk=anna.pk)), CALLS, body).status_code == 201


# The key


def test_the_same_key_and_body_return_the_same_call(woken: Any) -> None:
    asking = client(agent())
    first = post(asking, CALLS, {"to_number": CALLEE}, '"k-1"')
    second = post(asking, CALLS, {"to_number": "+44 20 7946 0123"}, '"k-1"')

    assert CallRequest.objects.count() == 1
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert second.json() == first.json()


def test_a_key_is_the_same_with_and_without_quotation_marks() -> None:
    asking = client(agent())
    post(asking, CALLS, {"to_number": CALLEE}, '"k-1"')

    assert post(asking, CALLS, {"to_number": CALLEE}, " k-1 ").status_code == 201
    assert CallRequest.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"to_number": "+442079460124"},
        {"max_duration": 60},
        {"max_cost": "1"},
        {"expires_at": "2999-01-01T00:00:00Z"},
        {"not_before": "2998-01-01T00:00:00Z", "expires_at": "2999-01-01T00:00:00Z"},
    ],
)
def test_the_same_key_for_another_call_is_a_conflict(change: dict[str, Any]) -> None:
    asking = client(agent())
    post(asking, CALLS, {"to_number": CALLEE}, '"k-1"')
    response = post(asking, CALLS, {"to_number": CALLEE, **change}, '"k-1"')

    assert problem(response, 422, "idempotency_conflict")["header"] == "Idempotency-Key"
    assert CallRequest.objects.count() == 1


def test_the_keys_of_users_are_separate() -> None:
    post(client(agent("anna")), CALLS, {"to_number": CALLEE}, '"k-1"')
    response = post(client(agent("bob")), CALLS, {"to_number": "+442079460124"}, '"k-1"')

    assert response.status_code == 201
    assert response.json()["username"] == "bob"
    assert CallRequest.objects.count() == 2


def test_a_key_returns_its_call_after_the_own_number_has_changed() -> None:
    anna = agent()
    first = post(client(anna), CALLS, {"to_number": CALLEE}, '"k-1"')
    Phone.objects.update(number="+442079460999")
    second = post(client(anna), CALLS, {"to_number": CALLEE}, '"k-1"')

    assert second.json()["id"] == first.json()["id"]


def test_a_refused_call_does_not_use_up_its_key() -> None:
    asking = client(agent())
    listed = BlacklistedNumber.objects.create(number=CALLEE)
    problem(post(asking, CALLS, {"to_number": CALLEE}, '"k-1"'), 422, "blacklisted")
    listed.delete()

    assert post(asking, CALLS, {"to_number": CALLEE}, '"k-1"').status_code == 201


@pytest.mark.parametrize(
    "key", ["", '""', " ", "k 1", '"k', "k,1", '"k" ; a=1', "schlüssel", "٣", '"\x7f"', "k" * 256]
)
def test_an_invalid_key_is_an_error(key: str) -> None:
    response = post(client(agent()), CALLS, {"to_number": CALLEE}, key)

    assert problem(response, 400, "invalid_header")["header"] == "Idempotency-Key"
    assert not CallRequest.objects.exists()


@pytest.mark.parametrize(
    "key", ["k" * 255, '"a b, \\"c\\" \\\\"', "8e03978e-40d5-43dd-bc93-6894a57f9324"]
)
def test_valid_keys_are_accepted(key: str) -> None:
    assert post(client(agent()), CALLS, {"to_number": CALLEE}, key).status_code == 201


# Quoting


def test_a_quote_returns_the_call_and_places_none(woken: Any) -> None:
    order = {"to_number": "+44 20 7946 0123", "max_duration": 99}
    data = post(client(agent()), QUOTE, order).json()

    assert data["from_number"] == CALLER
    assert data["to_number"] == CALLEE
    assert data["max_duration"] == 99
    assert data["max_cost"] is None
    assert data["subject"] is None
    assert not CallRequest.objects.exists()
    assert woken == []


# Validation


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"to_number": None}, "#/to_number"),
        ({"to_number": ""}, "#/to_number"),
        ({"to_number": 442079460123}, "#/to_number"),
        ({"to_number": True}, "#/to_number"),
        ({"to_number": ["1"]}, "#/to_number"),
        ({"to_number": "1" * 81}, "#/to_number"),
        ({"to_number": "+44\x00"}, "#/to_number"),
        ({"from_number": {}}, "#/from_number"),
        ({"subject": "crm.contact"}, "#/subject"),
        ({"subject": {"type": "crm.contact"}}, "#/subject/id"),
        ({"subject": {"type": "crm.contact", "id": 3}}, "#/subject/id"),
        ({"subject": {"type": "crm.contact", "id": "\x00"}}, "#/subject/id"),
        ({"max_duration": "٣"}, "#/max_duration"),
        ({"max_duration": True}, "#/max_duration"),
        ({"max_duration": 1.5}, "#/max_duration"),
        ({"max_duration": 2**31}, "#/max_duration"),
        ({"max_duration": "9" * 5000}, "#/max_duration"),
        ({"max_cost": "1E+999999"}, "#/max_cost"),
        ({"max_cost": "1E-999999"}, "#/max_cost"),
        ({"max_cost": "٣"}, "#/max_cost"),
        ({"max_cost": "NaN"}, "#/max_cost"),
        ({"max_cost": "-Infinity"}, "#/max_cost"),
        ({"max_cost": "0.0000001"}, "#/max_cost"),
        ({"max_cost": False}, "#/max_cost"),
        ({"max_cost": {}}, "#/max_cost"),
        ({"not_before": 5}, "#/not_before"),
        ({"not_before": "tomorrow"}, "#/not_before"),
        ({"not_before": "9999-12-31T23:59:59Z"}, "#/not_before"),
        ({"not_before": "9999-12-31T23:59:59-23:59"}, "#/not_before"),
        ({"expires_at": "0001-01-01T00:00:00Z"}, "#/expires_at"),
        ({"expires_at": "٢٠٢٦-01-01T00:00:00Z"}, "#/expires_at"),
    ],
)
def test_an_invalid_field_is_reported_with_its_pointer(change: Any, pointer: str) -> None:
    asking = client(agent())

    for path in (CALLS, QUOTE):
        assert list(wrong(post(asking, path, {"to_number": CALLEE, **change}))) == [pointer]
    assert not CallRequest.objects.exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"max_duration": 0}, "limit_invalid"),
        ({"max_duration": -5}, "limit_invalid"),
        ({"max_cost": "-1"}, "limit_invalid"),
        ({"expires_at": "2000-01-01T00:00:00Z"}, "expired"),
        ({"to_number": CALLER}, "same_number"),
        ({"to_number": "<script>"}, "number_invalid"),
    ],
)
def test_an_invalid_value_is_refused(change: Any, code: str) -> None:
    problem(post(client(agent()), CALLS, {"to_number": CALLEE, **change}), 422, code)


def test_orders_are_throttled_for_each_user(settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"poketalk_place": "2/min"}}
    anna, bob = client(agent("anna")), client(agent("bob"))
    for _ in range(2):
        assert post(anna, CALLS, {"to_number": CALLEE}).status_code == 201
    response = post(anna, CALLS, {"to_number": CALLEE})

    problem(response, 429, "throttled")
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert CallRequest.objects.count() == 2
    assert post(bob, CALLS, {"to_number": CALLEE}).status_code == 201
    assert post(anna, QUOTE, {"to_number": CALLEE}).status_code == 200
    assert anna.get(CALLS).status_code == 200


@pytest.mark.parametrize(("path", "most"), [(CALLS, 30), (QUOTE, 60)])
def test_there_is_a_default_rate(path: str, most: int) -> None:
    asking = client(agent())
    answers = [post(asking, path, {}).status_code for _ in range(most + 1)]

    assert answers == [400] * most + [429]


def test_a_rate_can_be_disabled(settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"poketalk_place": None}}
    asking = client(agent())

    assert {post(asking, CALLS, {}).status_code for _ in range(40)} == {400}
