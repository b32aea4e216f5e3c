"""A code that is sent to a phone proves whose it is. It is hard to guess and easy to use."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.calls import verification
from django_poketalk.exceptions import VerificationRefused
from django_poketalk.models import CallRequest, Phone, VerificationCode

from ..conftest import CALLEE, CALLER
from ..people import agent, contact, logged_in, page, someone, token

PATH = "tests.caller.calls.test_verification.send"
SENT: list[tuple[str, str]] = []


def send(phone: Phone, code: str) -> None:
    SENT.append((phone.number, code))


def fail(phone: Phone, code: str) -> None:
    raise RuntimeError(f"no credit to send {code}")


@pytest.fixture
def anna(db: None, poketalk: Any) -> Any:
    SENT.clear()
    poketalk(VERIFY_PHONES=PATH)
    return agent()


@pytest.fixture
def phone(anna: Any) -> Phone:
    return Phone.objects.get(user=anna)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def refusal(action: Any, *args: Any) -> str:
    with pytest.raises(VerificationRefused) as caught:
        action(*args)
    return caught.value.code


def age(**time: int) -> None:
    earlier = timezone.now() - timedelta(**time)
    VerificationCode.objects.update(created_at=earlier)


def test_the_code_on_the_page_verifies_the_phone(anna: Any, phone: Phone) -> None:
    client = logged_in(anna)
    address = f"/poketalk/my-phones/{phone.pk}/verify/"
    assert 'name="code"' not in page(client.get(address))

    page(client.post(address, {"send": "", "next": "/contacts/7/"}), 302)
    assert 'name="code"' in page(client.get(address))
    [(number, code)] = SENT
    response = client.post(address, {"code": f" {code[:3]} {code[3:]} ", "next": "/contacts/7/"})

    assert response.url == "/contacts/7/"
    assert number == CALLER
    phone.refresh_from_db()
    assert phone.is_verified


def test_a_wrong_code_is_an_error_on_the_page(anna: Any, phone: Phone) -> None:
    verification.send_code(phone)
    address = f"/poketalk/my-phones/{phone.pk}/verify/"

    html = page(logged_in(anna).post(address, {"code": wrong(SENT[0][1])}))

    assert "This code is not right." in html
    assert "<title>Error:" in html
    phone.refresh_from_db()
    assert not phone.is_verified


def test_a_code_works_once_and_for_ten_minutes(phone: Phone) -> None:
    verification.send_code(phone)
    age(minutes=10)
    assert refusal(verification.enter_code, phone, SENT[0][1]) == "code_expired"
    age(minutes=9)
    verification.enter_code(phone, SENT[0][1])

    Phone.objects.update(verified_at=None)
    assert refusal(verification.enter_code, phone, SENT[0][1]) == "code_expired"


def test_a_code_has_five_attempts(phone: Phone) -> None:
    verification.send_code(phone)
    for _attempt in range(5):
        assert refusal(verification.enter_code, phone, wrong(SENT[0][1])) == "code_wrong"

    assert refusal(verification.enter_code, phone, SENT[0][1]) == "too_many_attempts"


def test_only_the_newest_code_works(phone: Phone, monkeypatch: Any) -> None:
    codes = iter([123456, 654321])
    monkeypatch.setattr("secrets.randbelow", lambda most: next(codes))
    verification.send_code(phone)
    verification.send_code(phone)

    assert refusal(verification.enter_code, phone, "123456") == "code_wrong"
    verification.enter_code(phone, "654321")


def test_a_user_gets_three_codes_an_hour_even_for_several_phones(phone: Phone, anna: Any) -> None:
    for last in range(3):
        verification.send_code(Phone.objects.create(user=anna, number=f"+44207946070{last}"))

    assert refusal(verification.send_code, phone) == "too_many_codes"
    age(minutes=60)
    verification.send_code(phone)
    assert VerificationCode.objects.count() == 1, "old codes are deleted"


def test_a_number_gets_three_codes_an_hour_from_all_users_together(phone: Phone) -> None:
    for name in ("bea", "cem", "dan"):
        other = Phone.objects.create(user=someone(name), number=phone.number)
        verification.send_code(other)
        other.delete()  # does not help

    assert refusal(verification.send_code, phone) == "too_many_codes"
    assert len(SENT) == 3


def test_the_code_of_another_phone_or_user_is_of_no_use(phone: Phone, anna: Any) -> None:
    eve = Phone.objects.create(user=someone("eve"), number=phone.number)
    mobile = Phone.objects.create(user=anna, number="+442079460777")
    verification.send_code(phone)
    verification.send_code(mobile)
    verification.send_code(eve)

    codes = [code for _number, code in SENT]
    if codes[0] not in codes[1:]:
        assert refusal(verification.enter_code, mobile, codes[0]) == "code_wrong"
        assert refusal(verification.enter_code, eve, codes[0]) == "code_wrong"
    assert refusal(verification.enter_code, Phone.objects.get(pk=phone.pk), "") == "code_wrong"


def test_the_code_is_neither_stored_nor_logged(
    phone: Phone, poketalk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    verification.send_code(phone)
    code = SENT[0][1]
    poketalk(VERIFY_PHONES="tests.caller.calls.test_verification.fail")
    assert refusal(verification.send_code, phone) == "code_not_sent"

    stored = VerificationCode.objects.order_by("pk")[0]
    values = [str(getattr(stored, field.name)) for field in stored._meta.fields]
    assert not any(code in value for value in values if value != stored.digest)
    assert len(stored.digest) == 64
    assert "RuntimeError" in caplog.text
    assert "no credit" not in caplog.text
    assert code not in caplog.text


def test_the_digest_depends_on_the_secret_key(phone: Phone, settings: Any) -> None:
    verification.send_code(phone)
    settings.SECRET_KEY = "another one"

    assert refusal(verification.enter_code, phone, SENT[0][1]) == "code_wrong"


# An unverified phone cannot ring first


@pytest.mark.parametrize("how", [PATH, "staff"])
def test_an_unverified_phone_cannot_ring_first(how: str, anna: Any, poketalk: Any) -> None:
    poketalk(VERIFY_PHONES=how)
    order = {"token": token(anna, contact=contact())}
    place = logged_in(anna).post

    html = page(place("/poketalk/place/", order), 422)
    assert "is not verified yet" in html
    assert 'href="/poketalk/my-phones/"' in html
    assert not CallRequest.objects.exists()

    Phone.objects.get().verify(timezone.now())
    page(place("/poketalk/place/", order), 302)
    assert CallRequest.objects.get().from_number == CALLER


@pytest.mark.parametrize("change", [{"number": CALLEE}, {"user": None}, {"user_id": None}])
def test_a_new_number_or_user_has_to_be_verified_again(
    change: dict[str, Any], phone: Phone
) -> None:
    phone.verify(timezone.now())
    phone.label = "Desk"
    phone.save()
    phone.refresh_from_db()
    assert phone.is_verified

    for name, value in change.items():
        eve = someone("eve")
        setattr(phone, name, value or (eve.pk if name == "user_id" else eve))
    phone.save(update_fields=[*change])

    phone.refresh_from_db()
    assert not phone.is_verified


def test_a_phone_whose_number_changed_meanwhile_is_not_verified(phone: Phone) -> None:
    verification.send_code(phone)
    Phone.objects.filter(pk=phone.pk).update(number=CALLEE)

    assert refusal(verification.enter_code, phone, SENT[0][1]) == "code_wrong"
    assert not Phone.objects.get().is_verified
