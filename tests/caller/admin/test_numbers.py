"""The blacklist and the users' own numbers in the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from django_poketalk.models import BlacklistedNumber, Phone

from ..conftest import CALLEE, CALLER
from ..people import contains_number, page, someone, staff

CALLS = "/admin/poketalk/callrequest/"
BLACKLIST = "/admin/poketalk/blacklistednumber/"
PHONES = "/admin/poketalk/phone/"
INJECTED = "<script>alert('x')</script>"


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


# The blacklist


def entry(number: str, **changes: Any) -> dict[str, Any]:
    return {"number": number, "direction": "both", "reason": "", "until_0": "", **changes}


@pytest.mark.parametrize("written", ["+44 (20) 7946-0123", "442079460123", "+442079460123 "])
def test_a_number_in_any_format_is_blacklisted(written: str, boss: Client) -> None:
    page(boss.post(f"{BLACKLIST}add/", entry(written)), 302)

    stored = BlacklistedNumber.objects.get()
    assert (stored.number, stored.is_prefix) == (CALLEE, False)
    assert stored.created_by is not None
    assert stored.created_by.username == "boss"


def test_a_national_number_is_in_the_default_region(
    boss: Client, poketalk: Callable[..., None]
) -> None:
    poketalk(DEFAULT_REGION="GB")

    page(boss.post(f"{BLACKLIST}add/", entry("020 7946 0123")), 302)

    assert BlacklistedNumber.objects.get().number == CALLEE


def test_a_prefix_is_blacklisted(boss: Client) -> None:
    page(boss.post(f"{BLACKLIST}add/", entry("+44 (20) 79", is_prefix="on")), 302)

    assert BlacklistedNumber.objects.get().number == "+442079"


@pytest.mark.parametrize("prefix", ["", "on"])
@pytest.mark.parametrize("written", ["nobody", "+", "٣x", INJECTED])
def test_an_invalid_number_is_not_blacklisted(written: str, prefix: str, boss: Client) -> None:
    data = entry(written) | ({"is_prefix": prefix} if prefix else {})

    html = page(boss.post(f"{BLACKLIST}add/", data))

    assert "errorlist" in html
    assert "<script>alert" not in html
    assert not BlacklistedNumber.objects.exists()


def test_editing_an_entry_keeps_its_creator(boss: Client) -> None:
    page(boss.post(f"{BLACKLIST}add/", entry(CALLEE)), 302)
    stored = BlacklistedNumber.objects.get()
    editor = staff("editor", "view_numbers", "change_blacklistednumber")

    page(editor.post(f"{BLACKLIST}{stored.pk}/change/", entry(CALLEE, reason="asked us")), 302)

    stored.refresh_from_db()
    assert (stored.reason, stored.created_by.username) == ("asked us", "boss")


@pytest.mark.parametrize("address", [BLACKLIST, PHONES])
def test_without_the_permission_numbers_are_masked_and_cannot_be_changed(
    address: str, user: Any
) -> None:
    stored = (
        BlacklistedNumber.objects.create(number=CALLEE)
        if address == BLACKLIST
        else Phone.objects.create(user=user, number=CALLEE)
    )
    editor = staff("editor", "change_blacklistednumber", "change_phone")
    change = f"{address}{stored.pk}/change/"

    for html in (page(editor.get(address)), page(editor.get(change))):
        assert "+44 ••••••••23" in html
        assert not contains_number(html)
    assert "+44 ••••••••23" in page(editor.get(address, {"q": "+99"}))  # there is no search

    forged = entry("+442079460666", user=user.pk, direction="from")
    page(editor.post(change, forged), 302)
    del forged["number"]  # as the page has it
    page(editor.post(change, forged), 302)

    stored.refresh_from_db()
    assert stored.number == CALLEE


# The users' own numbers


def test_a_user_s_own_phone_is_stored_as_e164(boss: Client, user: Any) -> None:
    page(boss.post(f"{PHONES}add/", {"user": user.pk, "number": "+44 20 7946 0000"}), 302)

    stored = Phone.objects.get()
    assert (stored.user, stored.number) == (user, CALLER)


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("address", [BLACKLIST, PHONES])
def test_the_queries_of_lists_do_not_depend_on_their_length(
    address: str, count: int, boss: Client, django_assert_num_queries: Any
) -> None:
    for last in range(count):
        number, owner = f"+4420794601{last:02}", someone(f"user{last}")
        BlacklistedNumber.objects.create(number=number, created_by=owner)
        Phone.objects.create(user=owner, number=number)

    with django_assert_num_queries(4):  # session, user; count, rows
        html = page(boss.get(address))

    assert html.count("action-select") >= count
