"""Phones in the admin: staff find, edit and verify them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.models import CallRequest, Phone
from django_poketalk.protocol import numbers

from ..conftest import CALLEE, CALLER
from ..people import agent, hidden, logged_in, page, someone, staff

PHONES = "/admin/poketalk/phone/"
PLACE = "/admin/poketalk/callrequest/place/"
MOBILE = "+442079460555"

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> Client:
    return staff("boss", is_superuser=True)


@pytest.fixture
def anna() -> Any:
    return agent()


@pytest.fixture
def mobile(anna: Any) -> Phone:
    return Phone.objects.create(user=anna, number=MOBILE, label="Mobile")


def listed(client: Client, **query: str) -> set[str]:
    html = page(client.get(PHONES, query))
    return {number for number in (CALLER, MOBILE) if f">{numbers.display(number)}</bdi>" in html}


def test_phones_are_found_by_number_label_and_user(boss: Client, mobile: Phone) -> None:
    Phone.objects.create(user=someone("eve"), number=CALLEE)

    assert listed(boss, q="+44 20 7946 0555") == {MOBILE}
    assert listed(boss, q="mobi") == {MOBILE}
    assert listed(boss, q="anna") == {CALLER, MOBILE}
    assert listed(boss, q="nobody") == set()


def test_phones_are_filtered_by_verification_and_default(boss: Client, mobile: Phone) -> None:
    mobile.verify(timezone.now())

    assert listed(boss, verified="yes") == {MOBILE}
    assert listed(boss, verified="no") == {CALLER}
    assert listed(boss, default="yes") == {CALLER}
    assert listed(boss, default="no") == {MOBILE}


def test_staff_verify_the_selected_phones(mobile: Phone) -> None:
    keeper = staff("keeper", "view_phone", "verify_phone")
    action = {"action": "verify", "_selected_action": [mobile.pk]}

    html = page(keeper.post(PHONES, action, follow=True))

    assert "1 phone was verified." in html
    assert Phone.objects.get(pk=mobile.pk).is_verified
    assert not Phone.objects.get(number=CALLER).is_verified
    assert "0 phones were verified." in page(keeper.post(PHONES, action, follow=True))


def test_verifying_requires_its_permission(anna: Any, mobile: Phone) -> None:
    editor = staff("editor", "view_phone", "change_phone", "view_numbers")
    change = f"{PHONES}{mobile.pk}/change/"

    assert 'name="verified"' not in page(editor.get(change))
    assert 'value="verify"' not in page(editor.get(PHONES))
    page(editor.post(change, {"user": anna.pk, "number": MOBILE, "verified": "on"}), 302)
    editor.post(PHONES, {"action": "verify", "_selected_action": [mobile.pk]})

    assert not Phone.objects.get(pk=mobile.pk).is_verified


def test_a_phone_is_verified_on_its_page_and_loses_it_with_its_number(
    boss: Client, anna: Any, mobile: Phone
) -> None:
    change = f"{PHONES}{mobile.pk}/change/"
    form = {"user": anna.pk, "number": MOBILE, "label": "Mobile", "verified": "on"}
    page(boss.post(change, form), 302)
    mobile.refresh_from_db()
    assert mobile.is_verified

    page(boss.post(change, {**form, "number": "+44 20 7946 0556"}), 302)

    mobile.refresh_from_db()
    assert (mobile.number, mobile.is_verified) == ("+442079460556", False)
    page(boss.post(change, {**form, "number": mobile.number}), 302)
    del form["verified"]
    page(boss.post(change, {**form, "number": mobile.number}), 302)
    mobile.refresh_from_db()
    assert not mobile.is_verified


def test_another_phone_is_made_the_default_one(boss: Client, anna: Any, mobile: Phone) -> None:
    form = {"user": anna.pk, "number": MOBILE, "default": "on"}
    page(boss.post(f"{PHONES}{mobile.pk}/change/", form), 302)

    assert [phone.number for phone in Phone.objects.for_user(anna)] == [MOBILE, CALLER]
    assert Phone.objects.filter(is_default=True).count() == 1


def test_the_same_number_is_not_added_twice(boss: Client, anna: Any) -> None:
    html = page(boss.post(f"{PHONES}add/", {"user": anna.pk, "number": "+44 20 7946 0000"}))

    assert "This user already has a phone with this number." in html


def test_a_masked_phone_stays_its_users(anna: Any, mobile: Phone) -> None:
    eve = someone("eve")
    editor = staff("editor", "change_phone")

    html = page(editor.get(f"{PHONES}{mobile.pk}/change/"))
    page(editor.post(f"{PHONES}{mobile.pk}/change/", {"user": eve.pk, "label": "New"}), 302)

    mobile.refresh_from_db()
    assert 'name="user"' not in html
    assert (mobile.user, mobile.label) == (anna, "New")


def test_phones_that_the_project_keeps_cannot_be_edited(
    boss: Client, anna: Any, poketalk: Any
) -> None:
    poketalk(USER_PHONES="tests.caller.api.test_phones.phones_of_profile")
    pk = Phone.objects.get().pk

    page(boss.get(f"{PHONES}add/"), 403)
    page(boss.post(f"{PHONES}{pk}/change/", {"user": anna.pk, "number": MOBILE}), 403)
    page(boss.post(f"{PHONES}{pk}/delete/", {"post": "yes"}), 403)

    assert Phone.objects.get().number == CALLER


# Placing a call


def test_the_form_offers_the_users_phones_and_no_others(anna: Any, mobile: Phone) -> None:
    anna.is_staff = True
    anna.save()
    client = logged_in(anna)

    html = page(client.get(PLACE))
    assert '<select name="from_number"' in html
    assert f'<option value="{CALLER}" selected>' in html
    for number, status in (("+442079460999", 200), (MOBILE, 302)):
        form = {"order": hidden(html, "order"), "from_number": number, "to_number": CALLEE}
        page(client.post(PLACE, {**form, "_call": "Call"}), status)
    assert CallRequest.objects.get().from_number == MOBILE


def test_an_unverified_phone_is_refused_in_the_form(anna: Any, poketalk: Any) -> None:
    poketalk(VERIFY_PHONES="staff")
    anna.is_staff = True
    anna.save()
    client = logged_in(anna)
    form = {"order": hidden(page(client.get(PLACE)), "order"), "to_number": CALLEE}

    html = page(client.post(PLACE, {**form, "_call": "Call"}))

    assert "is not verified yet" in html
    assert not CallRequest.objects.exists()
