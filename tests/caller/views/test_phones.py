"""The page *My phones*: the user's phones, of which one is leg A."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.models import Phone

from ..conftest import CALLER
from ..people import agent, logged_in, page, someone

PHONES = "/poketalk/my-phones/"
MOBILE = "+442079460555"
INJECTED = "<script>alert('x')</script>"

# How a project keeps the numbers in a profile of its own (USER_PHONES)
PROFILE: list[Any] = []


def phones_of_profile(user: Any) -> list[Any]:
    return PROFILE


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.mark.parametrize("written", ["+44 (20) 7946-0555", "442079460555", " +442079460555 "])
def test_a_number_is_stored_as_e164(written: str, anna: Any) -> None:
    response = logged_in(anna).post(PHONES, {"number": written, "next": "/contacts/7/"})

    assert response.url == "/contacts/7/"
    assert Phone.objects.latest("pk").number == MOBILE


def test_a_national_number_is_in_the_default_region(
    anna: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(DEFAULT_REGION="GB")

    logged_in(anna).post(PHONES, {"number": "020 7946 0555"})

    assert Phone.objects.latest("pk").number == MOBILE


def test_an_invalid_number_stays_in_the_form_with_an_error(anna: Any) -> None:
    html = page(logged_in(anna).post(PHONES, {"number": INJECTED}))

    assert "Enter a phone number, such as" in html or "is not a phone number" in html
    assert "<script>" not in html
    assert "<title>Error:" in html
    assert Phone.objects.get().number == CALLER


def test_the_first_phone_is_the_default_one_and_later_ones_are_not(db: None) -> None:
    bea = someone("bea", "place_call")
    client = logged_in(bea)

    client.post(PHONES, {"label": "Desk", "number": CALLER})
    client.post(PHONES, {"label": "Mobile", "number": MOBILE})

    assert [(p.label, bool(p.is_default)) for p in Phone.objects.for_user(bea)] == [
        ("Desk", True),
        ("Mobile", False),
    ]


def test_a_phone_is_changed_made_the_default_one_and_removed(anna: Any) -> None:
    mobile = Phone.objects.create(user=anna, number=MOBILE)
    client = logged_in(anna)

    client.post(f"{PHONES}{mobile.pk}/", {"label": "Mobile", "number": "+44 20 7946 0556"})
    client.post(f"{PHONES}{mobile.pk}/default/")

    assert [(p.label, p.number) for p in Phone.objects.for_user(anna)] == [
        ("Mobile", "+442079460556"),
        ("", CALLER),
    ]
    client.post(f"{PHONES}{mobile.pk}/remove/")
    left = Phone.objects.get()
    assert (left.number, left.is_default) == (CALLER, True)


def test_a_phone_that_is_not_verified_does_not_become_the_default_one(
    anna: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(VERIFY_PHONES="staff")
    mobile = Phone.objects.create(user=anna, number=MOBILE)
    client = logged_in(anna)
    assert "Make default" not in page(client.get(PHONES))

    html = page(client.post(f"{PHONES}{mobile.pk}/default/", follow=True))

    assert "is not verified yet, so it cannot ring first." in html
    assert Phone.objects.for_user(anna)[0].number == CALLER
    mobile.verify(timezone.now())
    assert "Make default" in page(client.get(PHONES))


def test_the_same_number_is_not_added_twice(anna: Any) -> None:
    html = page(logged_in(anna).post(PHONES, {"number": "+44 20 7946 0000"}))

    assert "You already have a phone with this number." in html
    assert Phone.objects.count() == 1


def test_a_user_can_have_twenty_phones(anna: Any) -> None:
    for last in range(19):
        Phone.objects.create(user=anna, number=f"+4420794607{last:02}")

    html = page(logged_in(anna).post(PHONES, {"number": MOBILE}))

    assert Phone.objects.count() == 20
    assert 'name="number"' not in html


@pytest.mark.parametrize("action", ["", "default/", "remove/", "verify/"])
def test_the_phones_of_others_do_not_exist(action: str, anna: Any, poketalk: Any) -> None:
    poketalk(VERIFY_PHONES="tests.caller.calls.test_verification.send")
    own = Phone.objects.get()
    eve = logged_in(agent("eve"))

    page(eve.post(f"{PHONES}{own.pk}/{action}", {"number": MOBILE, "send": ""}), 404)

    own.refresh_from_db()
    assert (own.number, own.is_default) == (CALLER, True)


def test_users_cannot_add_phones_for_others(anna: Any) -> None:
    eve = agent("eve")

    logged_in(eve).post(PHONES, {"number": MOBILE, "user": anna.pk})

    assert Phone.objects.get(user=anna).number == CALLER


def test_the_page_shows_the_whole_numbers(anna: Any) -> None:
    Phone.objects.create(user=anna, number=MOBILE, label="Mobile")

    html = page(logged_in(anna).get(PHONES))

    assert "+44 20 7946 0000" in html
    assert "Make default: Mobile +44 20 7946 0555" in html
    pk = Phone.objects.get(number=CALLER).pk
    assert 'value="+44 20 7946 0000"' in page(logged_in(anna).get(f"{PHONES}{pk}/"))


def test_own_phones_require_the_permission_to_place_calls(db: None) -> None:
    page(logged_in(someone("watcher", "view_callrequest")).get(PHONES), 403)


def test_the_former_address_leads_to_the_page(anna: Any) -> None:
    response = logged_in(anna).get("/poketalk/my-number/?next=/contacts/7/")

    assert response.url == f"{PHONES}?next=%2Fcontacts%2F7%2F"


@pytest.mark.parametrize(
    ("region", "words"),
    [(None, "with + and country code"), ("GB", "are taken as numbers in GB (United Kingdom).")],
)
def test_the_form_explains_the_format_of_numbers(
    region: str | None, words: str, poketalk: Callable[..., None], db: None
) -> None:
    poketalk(DEFAULT_REGION=region)

    assert words in page(logged_in(agent()).get(PHONES))


@pytest.mark.parametrize(
    "change",
    [{"PHONES_PAGE": False}, {"USER_PHONES": "tests.caller.views.test_phones.phones_of_profile"}],
)
def test_the_page_can_be_switched_off(change: dict[str, Any], anna: Any, poketalk: Any) -> None:
    poketalk(**change)
    client = logged_in(anna)
    pk = Phone.objects.get().pk

    page(client.get(PHONES), 404)
    page(client.post(PHONES, {"number": MOBILE}), 404)
    page(client.post(f"{PHONES}{pk}/remove/"), 404)

    assert Phone.objects.get().number == CALLER


def test_an_internal_number_is_kept_as_it_is_where_the_site_allows_it(
    anna: Any, poketalk: Callable[..., None]
) -> None:
    client = logged_in(anna)
    assert "“1001”" in page(client.post(PHONES, {"number": "1001"}))
    poketalk(INTERNAL_NUMBERS="[0-9]{3,4}")

    client.post(PHONES, {"number": " 1001 "})
    for refused in ("12345", "112", "911", "+1001"):
        page(client.post(PHONES, {"number": refused}))

    assert [phone.number for phone in Phone.objects.for_user(anna)] == [CALLER, "1001"]
    assert ">1001</bdi>" in page(client.get(PHONES))
