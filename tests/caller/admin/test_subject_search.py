"""Search in the list of calls by what they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client, RequestFactory

from django_poketalk.admin import search, subject_search
from django_poketalk.models import CallRequest
from tests.crm.admin_site import ContactAdmin

from ..people import contact, page, someone, staff
from .test_call_search import CALLS, boss, found

__all__ = ["boss"]

NewCall = Callable[..., CallRequest]
MORE = "More than 2 objects match."


def group(name: str) -> Group:
    return Group.objects.create(name=name)


def test_calls_are_found_by_what_they_are_about(boss: Client, new_call: NewCall) -> None:
    wanted = new_call(subject=group("Example Sales Berlin"))
    new_call(subject=group("Example Support"))
    new_call(subject=contact("Sales"))  # without an admin of its own
    new_call()

    assert found(boss, q="sales example") == {wanted.pk}
    assert found(boss, q="nothing like that") == set()


def test_words_and_a_number_must_all_match(boss: Client, new_call: NewCall) -> None:
    sales = group("Sales")
    wanted = new_call(subject=sales)
    new_call(subject=sales, to_number="+442079460999")

    assert found(boss, q="sales 442079460123") == {wanted.pk}


def test_objects_that_a_user_may_not_view_are_not_searched(new_call: NewCall, db: None) -> None:
    call = new_call(subject=group("Sales"))

    assert found(staff("watcher", "view_callrequest"), q="sales") == set()
    both = staff("lead", "view_callrequest")
    user = get_user_model().objects.get(username="lead")
    user.is_superuser = True
    user.save()
    assert found(both, q="sales") == {call.pk}


def test_the_page_says_when_more_objects_match(
    boss: Client, new_call: NewCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject_search, "MOST", 2)
    for number in range(2):
        new_call(subject=group(f"Sales {number}"))
    assert MORE not in page(boss.get(CALLS, {"q": "sales"}))

    new_call(subject=group("Sales 2"))

    assert MORE in page(boss.get(CALLS, {"q": "sales"}))
    assert len(found(boss, q="sales")) == 2


def by_last_letter(words: str, user: Any) -> Iterable[Group]:
    return Group.objects.filter(name__endswith=words)


def test_a_project_can_search_otherwise(
    boss: Client, new_call: NewCall, poketalk: Callable[..., None]
) -> None:
    wanted = new_call(subject=group("Sales"))
    new_call(subject=group("Stores of Sale"))
    poketalk(SUBJECT_SEARCH=f"{__name__}.by_last_letter")

    assert found(boss, q="les") == {wanted.pk}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Others plan by the number of rows.")
def test_calls_are_looked_up_by_the_index_of_their_subjects(
    new_call: NewCall, rf: RequestFactory, admin_user: Any
) -> None:
    new_call(subject=group("Sales"))
    request = rf.get(CALLS)
    request.user = admin_user
    about, _has_more = subject_search.calls_about("sales", admin.site, request)

    condition = search.condition("sales", admin_user, about)

    plan = CallRequest.objects.filter(condition).explain()
    assert "poketalk_by_subject" in plan
    assert "SCAN" not in plan


def test_the_list_shows_the_calls_about_one_object(boss: Client, new_call: NewCall) -> None:
    sales, others = group("Sales"), group("Others")
    wanted = new_call(subject=sales)
    new_call(subject=others)
    one = f"auth.group/{sales.pk}"

    html = page(boss.get(CALLS, {"about": one}))

    assert found(boss, about=one) == {wanted.pk}
    assert found(boss, about="auth.group/0") == found(boss, about="no.model/1") == set()
    assert "<span>About:</span> <bdi>Sales</bdi>" in html


def test_an_object_s_page_links_to_all_of_its_calls(
    boss: Client, new_call: NewCall, rf: RequestFactory, admin_user: Any
) -> None:
    bob = contact("Bob")
    calls = {new_call(subject=bob).pk for _ in range(2)}
    new_call()
    request = rf.get("/")
    request.user = admin_user
    page_of_bob = ContactAdmin(type(bob), admin.site)

    link = page_of_bob._all_calls(request, bob)

    assert link["poketalk_calls"] == 2
    assert found(boss, **dict(parse_qsl(urlsplit(link["poketalk_calls_url"]).query))) == calls
    request.user = someone("anna", "place_call", is_staff=True)
    assert page_of_bob._all_calls(request, bob) == {}


@pytest.mark.urls("tests.crm.admin_site")
def test_a_site_without_the_list_of_calls_has_no_link(boss: Client, new_call: NewCall) -> None:
    bob = contact("Bob")
    new_call(subject=bob)

    html = page(boss.get(f"/crm/crm/contact/{bob.pk}/change/"))

    assert "poketalk-history" in html
    assert "All calls" not in html
