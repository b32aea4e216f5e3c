"""After a reload, the button that placed a call shows it again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.models import CallRequest, Placement
from tests.crm.models import Company, Contact

from ..conftest import CALLEE
from ..people import agent, connected, contact, contains_number, render

BUTTON = 'call_button contact field="phone"'
NewCall = Callable[..., CallRequest]


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


def data(html: str) -> Any:
    """The open call that the page passes to its script, or None."""
    found = re.search(r' live="([^"]*)"', html)
    return json.loads(unescape(found[1])) if found else None


def test_the_button_that_placed_an_open_call_shows_it(
    anna: Any, bob: Contact, new_call: NewCall
) -> None:
    call = connected(new_call(user=anna, subject=bob))

    html = render(BUTTON, anna, contact=bob)

    rendered = data(html)
    assert (rendered["phase"], rendered["sentence"]) == ("talking", "Connected")
    assert rendered["hang_up_url"] == f"/poketalk/{call.pk}/hang-up/"
    assert '<poketalk-call phase="talking"' in html
    assert ">Connected</span>" in html  # also without script
    assert f'href="/poketalk/{call.pk}/?next=%2Fcontacts%2F7' in html
    assert not contains_number(html)


def test_a_button_shows_the_call_to_its_number_in_any_format(anna: Any, new_call: NewCall) -> None:
    new_call(user=anna)

    assert data(render("call_button '+44 (0)20 7946-0123'", anna))


def test_names_in_an_open_call_are_escaped(anna: Any, new_call: NewCall) -> None:
    mallory = contact('"><script>alert(1)</script>')
    connected(new_call(user=anna, subject=mallory), status=3)

    html = render(BUTTON, anna, contact=mallory)

    assert "Ringing" in data(html)["sentence"]
    assert "<script" not in html


@pytest.mark.parametrize("which", ["over", "another user's", "another number", "another subject"])
def test_other_calls_are_not_shown(which: str, anna: Any, bob: Contact, new_call: NewCall) -> None:
    match which:
        case "over":
            connected(new_call(user=anna, subject=bob), ended_at=timezone.now(), status=8)
        case "another user's":
            new_call(user=agent("eve"), subject=bob)
        case "another number":
            new_call(user=anna, subject=bob, to_number="+442079460124")
        case "another subject":
            new_call(user=anna, subject=Company.objects.create(pk=bob.pk, name="Example Ltd"))
            new_call(user=anna)

    assert data(render(BUTTON, anna, contact=bob)) is None


def test_a_scheduled_call_is_shown_once_it_is_due(
    anna: Any, bob: Contact, new_call: NewCall
) -> None:
    later = timezone.now() + timedelta(hours=1)
    call = new_call(user=anna, subject=bob, not_before=later)
    assert data(render(BUTTON, anna, contact=bob)) is None

    # Tried already, and to be tried again soon.
    CallRequest.objects.filter(pk=call.pk).update(attempts=1, placement=Placement.QUEUED)
    assert data(render(BUTTON, anna, contact=bob))


def test_a_call_is_shown_by_only_one_button(anna: Any, bob: Contact, new_call: NewCall) -> None:
    new_call(user=anna, subject=bob)
    twice = f"{BUTTON} %}}|{{% {BUTTON}"

    first, second = render(twice, anna, contact=bob).split("|")

    assert data(first)
    assert data(second) is None


def test_open_calls_take_one_query(
    anna: Any, bob: Contact, new_call: NewCall, django_assert_num_queries: Any
) -> None:
    new_call(user=anna, subject=bob)
    render(BUTTON, anna, contact=bob)  # fills the user's permissions and the content types

    with django_assert_num_queries(2):  # open calls, phones
        assert data(render(BUTTON, anna, contact=bob))
    with django_assert_num_queries(2):  # open calls, phones
        assert data(render(f"call_button '{CALLEE}' subject=contact", anna, contact=bob))
