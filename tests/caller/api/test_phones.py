"""The user's own phones in the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_poketalk.models import CallRequest, Phone

from ..conftest import CALLEE, CALLER
from ..people import agent, someone
from .rest_client import CALLS, OWN_NUMBER, ROOT, client, post, problem, wrong

PHONES = f"{ROOT}/phones/"
MOBILE = "+442079460555"

pytestmark = pytest.mark.django_db


def patch(asking: Any, pk: Any, body: Any) -> Any:
    return asking.patch(f"{PHONES}{pk}/", body, "application/json")


def numbers_of(asking: Any) -> list[tuple[str, bool]]:
    return [(phone["number"], phone["is_default"]) for phone in asking.get(PHONES).json()]


def test_phones_are_added_listed_changed_and_deleted(poketalk: Any) -> None:
    poketalk(DEFAULT_REGION="GB")
    asking = client(someone("anna", "place_call"))

    assert asking.get(PHONES).json() == []
    desk = post(asking, PHONES, {"number": "020 7946 0000", "label": "Desk"})
    assert desk.status_code == 201
    assert desk.json() == {
        "id": desk.json()["id"],
        "label": "Desk",
        "number": CALLER,
        "is_default": True,
        "may_ring": True,
        "verified_at": None,
    }
    mobile = post(asking, PHONES, {"number": MOBILE}).json()
    assert numbers_of(asking) == [(CALLER, True), (MOBILE, False)]

    assert patch(asking, mobile["id"], {"is_default": True}).json()["is_default"] is True
    assert numbers_of(asking) == [(MOBILE, True), (CALLER, False)]
    assert patch(asking, mobile["id"], {"number": "020 7946 0556"}).status_code == 200
    assert numbers_of(asking) == [("+442079460556", True), (CALLER, False)]
    assert asking.delete(f"{PHONES}{mobile['id']}/").status_code == 204
    assert numbers_of(asking) == [(CALLER, True)]


def test_a_default_phone_stays_until_another_one_replaces_it() -> None:
    asking = client(agent())

    assert wrong(patch(asking, Phone.objects.get().pk, {"is_default": False})) == {
        "#/is_default": "default_required"
    }
    new = post(asking, PHONES, {"number": MOBILE, "is_default": True}).json()
    assert (new["is_default"], numbers_of(asking)[0]) == (True, (MOBILE, True))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"number": CALLER}, "phone_exists"),
        ({"number": "+44 (20) 7946-0000"}, "phone_exists"),
        ({"number": "12"}, "number_invalid"),
        ({"number": 442079460555}, "invalid"),
        ({}, "required"),
    ],
)
def test_an_invalid_phone_is_an_error(body: Any, code: str) -> None:
    assert wrong(post(client(agent()), PHONES, body)) == {"#/number": code}
    assert Phone.objects.count() == 1


def test_the_phones_of_others_do_not_exist() -> None:
    agent()
    pk = Phone.objects.get().pk
    eve = client(someone("eve", "place_call"))

    assert eve.get(PHONES).json() == []
    problem(patch(eve, pk, {"number": MOBILE}), 404, "not_found")
    problem(eve.delete(f"{PHONES}{pk}/"), 404, "not_found")
    problem(patch(eve, "x", {}), 404, "not_found")
    assert Phone.objects.get().number == CALLER


def test_phones_require_the_permission_to_place_calls() -> None:
    problem(client(someone("eve")).get(PHONES), 403, "permission_denied")


def test_verification_cannot_be_written(poketalk: Any) -> None:
    poketalk(VERIFY_PHONES="staff")
    asking = client(agent())
    phone = Phone.objects.get()
    body = {"verified_at": "2026-01-01T00:00:00Z", "may_ring": True}

    assert patch(asking, phone.pk, body).json()["may_ring"] is False
    phone.verify(timezone.now())
    assert asking.get(PHONES).json()[0]["may_ring"] is True
    assert patch(asking, phone.pk, {"number": MOBILE}).json()["verified_at"] is None


@pytest.mark.parametrize(
    "change",
    [{"PHONES_PAGE": False}, {"USER_PHONES": "tests.caller.api.test_phones.phones_of_profile"}],
)
def test_phones_that_the_site_keeps_are_read_only(change: dict[str, Any], poketalk: Any) -> None:
    poketalk(**change)
    asking = client(agent())
    pk = Phone.objects.get().pk

    for refused in (
        post(asking, PHONES, {"number": MOBILE}),
        patch(asking, pk, {"number": MOBILE}),
        asking.delete(f"{PHONES}{pk}/"),
        asking.put(OWN_NUMBER, {"number": MOBILE}, "application/json"),
        asking.delete(OWN_NUMBER),
    ):
        problem(refused, 403, "phones_kept_elsewhere")
    assert Phone.objects.get().number == CALLER
    assert len(asking.get(PHONES).json()) == 1


def phones_of_profile(user: Any) -> list[str]:
    return [MOBILE]


def test_the_number_of_a_profile_is_read_and_rung(poketalk: Any) -> None:
    poketalk(USER_PHONES="tests.caller.api.test_phones.phones_of_profile")
    asking = client(someone("anna", "place_call"))

    assert asking.get(OWN_NUMBER).json() == {"number": MOBILE}
    [phone] = asking.get(PHONES).json()
    assert (phone["id"], phone["number"], phone["is_default"]) == (None, MOBILE, True)
    assert post(asking, CALLS, {"to_number": CALLEE}).json()["from_number"] == MOBILE


def test_any_of_the_own_phones_may_ring_and_no_other(poketalk: Any) -> None:
    anna = agent()
    Phone.objects.create(user=anna, number=MOBILE)
    asking = client(anna)

    order = {"to_number": CALLEE, "from_number": "+44 20 7946 0555"}
    assert post(asking, CALLS, order).json()["from_number"] == MOBILE
    problem(
        post(asking, CALLS, {**order, "from_number": "+442079460999"}), 403, "permission_denied"
    )
    poketalk(VERIFY_PHONES="staff")
    answer = problem(post(asking, CALLS, order), 422, "phone_unverified")
    assert answer["field"] == "from_number"
    assert CallRequest.objects.count() == 1


def test_the_own_number_is_that_of_the_default_phone() -> None:
    anna = agent()
    Phone.objects.create(user=anna, number=MOBILE, label="Mobile")
    asking = client(anna)

    problem(asking.put(OWN_NUMBER, {"number": MOBILE}, "application/json"), 400, "invalid")
    asking.put(OWN_NUMBER, {"number": CALLEE}, "application/json")
    assert numbers_of(asking) == [(CALLEE, True), (MOBILE, False)]
    asking.delete(OWN_NUMBER)
    assert numbers_of(asking) == [(MOBILE, True)]


# Verification by a code


SENT: list[str] = []


def send(phone: Phone, code: str) -> None:
    SENT.append(code)


def fail(phone: Phone, code: str) -> None:
    raise RuntimeError


@pytest.fixture
def codes(poketalk: Any) -> list[str]:
    poketalk(VERIFY_PHONES=f"{__name__}.send")
    SENT.clear()
    return SENT


def verify(asking: Any, code: Any) -> Any:
    return post(asking, f"{PHONES}{Phone.objects.get().pk}/verify/", {"code": code})


def send_code(asking: Any) -> Any:
    return post(asking, f"{PHONES}{Phone.objects.get().pk}/send-code/")


def test_a_code_verifies_a_phone(codes: list[str]) -> None:
    asking = client(agent())
    assert send_code(asking).json()["may_ring"] is False

    answer = verify(asking, f"{codes[0][:3]} {codes[0][3:]}")

    assert (answer.status_code, answer.json()["may_ring"]) == (200, True)
    assert answer.json()["verified_at"]
    assert Phone.objects.get().is_verified
    for again in (send_code(asking), verify(asking, "1")):
        assert again.json() == answer.json()
    assert len(codes) == 1


def test_a_wrong_code_is_refused_with_the_reason(codes: list[str]) -> None:
    asking = client(agent())
    problem(verify(asking, "123456"), 422, "code_expired")
    send_code(asking)

    problem(verify(asking, "x"), 422, "code_wrong")
    for wrong_body in ({}, {"code": 123456}, {"code": ""}):
        path = f"{PHONES}{Phone.objects.get().pk}/verify/"
        assert set(wrong(post(asking, path, wrong_body))) == {"#/code"}
    assert not Phone.objects.get().is_verified


@pytest.mark.django_db(transaction=True)
def test_refusals_count_with_atomic_requests_too(
    codes: list[str], poketalk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = client(agent())
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    send_code(asking)
    for _attempt in range(5):
        problem(verify(asking, "x"), 422, "code_wrong")
    problem(verify(asking, codes[0]), 422, "too_many_attempts")

    poketalk(VERIFY_PHONES=f"{__name__}.fail")
    for _attempt in range(2):
        problem(send_code(asking), 422, "code_not_sent")
    problem(send_code(asking), 422, "too_many_codes")


@pytest.mark.parametrize("how", [None, "staff"])
def test_without_codes_there_is_nothing_to_verify(how: str | None, poketalk: Any) -> None:
    poketalk(VERIFY_PHONES=how)
    asking = client(agent())

    problem(send_code(asking), 404, "not_found")
    problem(verify(asking, "123456"), 404, "not_found")


def test_codes_for_the_phones_of_others_do_not_exist(codes: list[str], poketalk: Any) -> None:
    anna = client(agent())
    eve = client(someone("eve", "place_call"))
    problem(send_code(eve), 404, "not_found")
    send_code(anna)
    problem(verify(eve, codes[0]), 404, "not_found")

    poketalk(PHONES_PAGE=False)
    problem(verify(anna, codes[0]), 403, "phones_kept_elsewhere")
    assert not Phone.objects.get().is_verified
