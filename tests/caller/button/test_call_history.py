"""`{% call_history %}`: the calls about an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.template import TemplateSyntaxError
from django.utils import timezone

from django_poketalk import permissions
from django_poketalk.models import CallRequest
from tests.crm.models import Company, Contact

from ..people import agent, connected, contact, contains_number, render, someone

HISTORY = "call_history contact"
NewCall = Callable[..., CallRequest]


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


def test_each_call_has_its_state_and_a_link(anna: Any, bob: Contact, new_call: NewCall) -> None:
    call = connected(new_call(user=anna, subject=bob), status=8, ended_at=timezone.now())

    html = render(HISTORY, anna, contact=bob)

    assert f'href="/poketalk/{call.pk}/?next=%2Fcontacts%2F7%2F%3Ftab%3Dphones"' in html
    for words in (">Ended after talking</a>", ">anna</td>", ">1:15</td>", ">0.421</td>"):
        assert words in html
    assert not contains_number(html)


def test_users_have_their_full_names(bob: Contact, new_call: NewCall, anna: Any) -> None:
    anna.first_name, anna.last_name = "Anna", "Smith"
    anna.save()
    new_call(user=anna, subject=bob)

    assert ">Anna Smith</td>" in render(HISTORY, anna, contact=bob)


def test_only_calls_about_this_object_are_listed(
    anna: Any, bob: Contact, new_call: NewCall
) -> None:
    company = Company.objects.create(pk=bob.pk, name="Example Ltd")
    new_call(user=anna, subject=company)
    new_call(user=anna, subject=contact("Carol"))
    new_call(user=anna)

    assert "No calls yet." in render(HISTORY, anna, contact=bob)


def test_calls_of_other_users_require_the_permission(
    anna: Any, bob: Contact, new_call: NewCall
) -> None:
    call = new_call(user=anna, subject=bob)
    eve, watcher = agent("eve"), someone("watcher", "view_callrequest")

    assert f"/poketalk/{call.pk}/" not in render(HISTORY, eve, contact=bob)
    assert f"/poketalk/{call.pk}/" in render(HISTORY, watcher, contact=bob)
    for user in (anna, eve, watcher):
        assert permissions.may_see(user, call) == permissions.visible_calls(user).exists()


def test_the_newest_calls_are_listed_up_to_the_limit(
    anna: Any, bob: Contact, new_call: NewCall
) -> None:
    old, new, newest = (new_call(user=anna, subject=bob).pk for _ in range(3))

    html = render(f"{HISTORY} limit=2", anna, contact=bob)

    assert html.index(f"/poketalk/{newest}/") < html.index(f"/poketalk/{new}/")
    assert f"/poketalk/{old}/" not in html


def test_nothing_is_rendered_for_visitors_or_without_an_object(anna: Any, bob: Contact) -> None:
    assert render(HISTORY, None, contact=bob) == ""
    assert render(HISTORY, anna, contact=None) == ""
    assert render(HISTORY, anna) == ""


def test_a_value_that_is_not_an_object_is_an_error(anna: Any) -> None:
    with pytest.raises(TemplateSyntaxError, match="call_history needs an object, not a str"):
        render("call_history contact", anna, contact="Bob")


def test_a_history_makes_one_query_for_any_length(
    anna: Any, bob: Contact, new_call: NewCall, django_assert_num_queries: Any
) -> None:
    for _ in range(5):
        new_call(user=anna, subject=bob)
    render(HISTORY, anna, contact=bob)  # fills the user's permissions and the content types

    with django_assert_num_queries(1):
        render(HISTORY, anna, contact=bob)
