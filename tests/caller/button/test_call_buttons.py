"""`{% call_buttons %}`: buttons in place of the numbers of a page's objects."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import TemplateSyntaxError

from django_poketalk.button import signed_call
from django_poketalk.models import CallRequest
from tests.crm.models import Company, Contact

from ..conftest import CALLEE
from ..people import agent, connected, contact, hidden, logged_in, render, someone

SHOWN = "+44 20 7946 0123"


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


def block(html: str, user: Any, arguments: str = 'contact fields="phone"', **context: Any) -> str:
    return render(f"call_buttons {arguments} %}}{html}{{% endcall_buttons", user, **context)


def tokens(html: str) -> list[str]:
    return re.findall(r'name="token" value="([^"]*)"', html)


def labels(html: str) -> list[str]:
    return re.findall(r'<button type="submit"[^>]*><bdi dir="ltr">(.*?)</bdi></button>', html)


def test_a_stored_number_becomes_a_button_that_calls_its_object(anna: Any, bob: Contact) -> None:
    html = block(f"<p>Ring {SHOWN} now</p>", anna, contact=bob)

    assert html.startswith("<p>Ring <poketalk-call")
    assert "</poketalk-call> now</p><form " in html
    assert labels(html) == [SHOWN]
    assert f'aria-label="Call {SHOWN}: Bob"' in html
    [token] = tokens(html)
    assert signed_call.read(token, anna).callee(anna) == (CALLEE, bob)
    assert signed_call.read(token, anna).number == ""


def test_a_number_in_two_fields_of_an_object_belongs_to_that_object(anna: Any) -> None:
    bob = contact(f"Bob {CALLEE}")

    html = block(CALLEE, anna, "contact fields='phone, phone_of_name'", contact=bob)

    [token] = tokens(html)
    assert signed_call.read(token, anna).callee(anna) == (CALLEE, bob)


@pytest.mark.parametrize(
    "written",
    [
        "+442079460123",
        "0044 20 7946 0123",
        "44 20 7946 0123",
        "020 7946 0123",
        "(020) 7946-0123",
        "+44 (0)20 7946 0123",
        "+44&nbsp;20&nbsp;7946&nbsp;0123",
    ],
)
def test_numbers_match_in_any_format(
    written: str, anna: Any, bob: Contact, poketalk: Callable[..., None]
) -> None:
    poketalk(DEFAULT_REGION="GB")

    for stored in (CALLEE, "020 7946 0123", "+44 (20) 7946-0123"):
        bob.phone = stored
        assert labels(block(f"<td>{written}</td>", anna, contact=bob)) == [written]


@pytest.mark.parametrize(
    "text",
    [
        "+44 20 7946 0124",
        "+1 202 555 0123",
        "+44 20 7946 012",
        "+44 20 7946 0123 4",
        "+44 20 7946 01234",
        "+20 7946 0123",
        "7946 0123",
        "020 7946 0123",
        "+900 123 4567",
    ],
)
def test_only_stored_numbers_become_buttons(
    text: str, anna: Any, bob: Contact, poketalk: Callable[..., None]
) -> None:
    poketalk(DEFAULT_REGION="US")

    assert block(text, anna, contact=bob) == text


def test_other_text_on_the_page_cannot_be_called(anna: Any, bob: Contact) -> None:
    bob.name = "Bob, ring +1 900 555 0123"

    html = block("{{ contact.name }} {{ contact.phone }}", anna, contact=bob)

    assert labels(html) == [CALLEE]


def test_names_with_markup_are_escaped(anna: Any, bob: Contact) -> None:
    bob.name = "\"><script>alert('x')</script>"
    bold = '<b title="{{ contact.name }} {{ contact.phone }}">{{ contact.name }}</b>'

    html = block(f"{bold} {{{{ contact.phone }}}}", anna, contact=bob)

    assert labels(html) == [CALLEE]
    assert "<script" not in html
    assert html.index("<poketalk-call") > html.index("</b>")


def test_one_form_serves_all_buttons_of_a_block(anna: Any) -> None:
    people = [contact(f"Bob {last}", f"+44207946012{last}") for last in range(3)]
    rows = "{% for each in people %}<li>{{ each.phone }}</li>{% endfor %}"

    html = block(rows, anna, "people fields='phone'", people=people)

    assert [signed_call.read(token, anna).callee(anna)[1] for token in tokens(html)] == people
    assert html.count("<form ") == 1
    [form] = set(re.findall(r'<button type="submit" form="([^"]*)"', html))
    assert f'<form id="{form}"' in html
    assert len(hidden(html, "csrfmiddlewaretoken")) >= 32
    assert hidden(html, "next") == "/contacts/7/?tab=phones"


def test_the_form_can_be_elsewhere(anna: Any, bob: Contact) -> None:
    html = block(CALLEE, anna, "contact fields='phone' form='calls'", contact=bob)

    assert '<button type="submit" form="calls"' in html
    assert "<form" not in html


def test_pressing_a_button_places_a_call(anna: Any, bob: Contact) -> None:
    html = block(CALLEE, anna, contact=bob)

    answer = logged_in(anna).post("/poketalk/place/", {"token": tokens(html)[0]})

    assert re.match(r"/poketalk/\d+/", answer["Location"])


def test_a_number_of_several_objects_has_no_subject(anna: Any, bob: Contact) -> None:
    html = block(CALLEE, anna, "people fields='phone'", people=[bob, contact("Carol")])

    [token] = tokens(html)
    assert signed_call.read(token, anna).callee(anna) == (CALLEE, None)
    assert f'aria-label="Call {CALLEE}"' in html


def test_all_fields_of_all_objects_are_used(anna: Any, bob: Contact) -> None:
    carol = contact("Carol +442079460999", "+442079460124")

    html = block(
        f"{CALLEE}, +442079460999, +442079460124",
        anna,
        "one others fields='phone, phone_of_name' size=''",
        one=bob,
        others=[carol],
    )

    assert len(labels(html)) == 3
    assert 'size="' not in html


def test_columns_for_phone_numbers_are_found(anna: Any, bob: Contact) -> None:
    columns = ["from_number", "to_number", "presented_number"]
    assert signed_call.number_fields(CallRequest) == columns
    with pytest.raises(ImproperlyConfigured, match="no column for phone numbers"):
        block(CALLEE, anna, "contact", contact=bob)


def test_invalid_numbers_and_unsaved_objects_are_ignored(anna: Any) -> None:
    bad = contact(phone="ask Bob")
    unsaved = Contact(phone=CALLEE)

    for objects in ([bad, unsaved], None, "", []):
        assert block(CALLEE, anna, "objects fields='phone'", objects=objects) == CALLEE


@pytest.mark.parametrize("objects", ["Bob", 7, [7]])
def test_a_value_that_is_not_an_object_is_an_error(objects: Any, anna: Any) -> None:
    with pytest.raises(TemplateSyntaxError, match="call_buttons needs objects or lists of them"):
        block("", anna, "objects fields='phone'", objects=objects)


def test_nothing_changes_for_users_who_may_not_place_calls(bob: Contact) -> None:
    watcher = someone("watcher", "view_callrequest", "view_numbers")

    assert block(CALLEE, watcher, contact=bob) == CALLEE
    assert block(CALLEE, None, contact=bob) == CALLEE


def test_an_open_call_is_shown(anna: Any, bob: Contact, new_call: Any) -> None:
    connected(new_call(user=anna, subject=bob))

    assert 'phase="talking"' in block(CALLEE, anna, contact=bob)


def test_all_numbers_share_one_query(anna: Any, django_assert_num_queries: Any) -> None:
    Company.objects.create(name="Example Ltd")
    people = [contact(f"Bob {last}", f"+4420794601{last}") for last in range(10, 30)]
    rows = "{% for each in people %}<li>{{ each.phone }}</li>{% endfor %}"
    block(rows, anna, "people fields='phone'", people=people)  # fills the user's permissions

    with django_assert_num_queries(2):  # open calls, phones
        assert len(labels(block(rows, anna, "people fields='phone'", people=people))) == 20
