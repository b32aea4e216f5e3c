"""The call button and its signed token, which the user cannot change."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Template, TemplateSyntaxError

from django_poketalk.button import signed_call
from django_poketalk.exceptions import CallRefused
from tests.crm.models import Company, Contact

from ..conftest import CALLEE
from ..people import agent, contact, contains_number, hidden, render, someone, token

NOW = datetime.fromisoformat("2026-03-02T09:00:00+00:00")


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


def refusal(signed: str, user: Any) -> str:
    with pytest.raises(CallRefused) as refused:
        signed_call.read(signed, user)
    return refused.value.code


def test_a_token_round_trips(anna: Any, bob: Contact) -> None:
    order = signed_call.Button(
        nonce=signed_call.new_nonce(),
        source=signed_call.Reference.to(bob),
        field="phone",
        subject=signed_call.Reference.to(anna),
        max_duration=300,
        max_cost=Decimal("0.50"),
        rendered_at=int(time.time()),
    )

    assert signed_call.read(signed_call.sign(order, anna), anna) == order


def test_a_token_with_any_changed_character_is_refused(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)

    for place in range(len(signed)):
        other = "A" if signed[place] != "A" else "B"
        assert refusal(signed[:place] + other + signed[place + 1 :], anna) == "button_altered"


@pytest.mark.parametrize("junk", ["", ":", "a:b:c", "\x00", "٣" * 40, "." + "A" * 5000])
def test_an_invalid_token_is_refused_as_altered(junk: str, anna: Any) -> None:
    assert refusal(junk, anna) == "button_altered"


def test_values_signed_elsewhere_in_the_project_are_refused(anna: Any) -> None:
    order = {"u": str(anna.pk), "n": "nonce", "to": CALLEE}

    assert refusal(signing.dumps(order, compress=True), anna) == "button_altered"


def test_a_button_of_another_user_is_refused(anna: Any, bob: Contact) -> None:
    signed = token(anna, contact=bob)

    assert refusal(signed, agent("eve")) == "button_not_yours"


def test_a_button_expires_after_the_setting(
    anna: Any, bob: Contact, poketalk: Callable[..., None]
) -> None:
    poketalk(BUTTON_MAX_AGE=60)
    with time_machine.travel(NOW, tick=False):
        signed = token(anna, contact=bob)

    with time_machine.travel(NOW + timedelta(seconds=60), tick=False):
        assert signed_call.read(signed, anna)
    with time_machine.travel(NOW + timedelta(seconds=61), tick=False):
        assert refusal(signed, anna) == "button_expired"


def test_with_an_object_and_field_the_page_does_not_contain_the_number(
    anna: Any, bob: Contact
) -> None:
    html = render('call_button contact field="phone"', anna, contact=bob)

    salt = "django_poketalk.button"
    order = json.dumps(signing.loads(hidden(html, "token"), salt=salt))
    assert CALLEE.lstrip("+") not in html + order
    assert not contains_number(html + order)


def test_a_number_is_signed_into_the_token(anna: Any, bob: Contact) -> None:
    html = render("call_button contact.phone subject=contact", anna, contact=bob)

    order = signed_call.read(hidden(html, "token"), anna)
    assert order.callee(anna) == (CALLEE, bob)
    assert re.findall(r'<input[^>]* name="(\w+)"', html) == ["csrfmiddlewaretoken", "token", "next"]


def test_the_field_is_read_when_the_button_is_pressed(anna: Any, bob: Contact) -> None:
    order = signed_call.read(token(anna, contact=bob), anna)

    Contact.objects.update(phone="+442079460999")

    assert order.callee(anna) == ("+442079460999", bob)


def test_the_object_is_the_subject_unless_another_is_given(anna: Any, bob: Contact) -> None:
    company = Company.objects.create(name="Example Ltd")
    anna.user_permissions.add(Permission.objects.get(codename="view_company"))
    tag = 'call_button contact field="phone" subject=company'

    order = signed_call.read(token(anna, tag, contact=bob, company=company), anna)

    assert order.callee(anna) == (CALLEE, company)


@pytest.mark.parametrize("field", ["phone_of_name", "phone_of_card"])
def test_a_property_can_be_called(field: str, anna: Any) -> None:
    eve = contact(f"Eve {CALLEE}", phone="")

    signed = token(anna, f'call_button contact field="{field}"', contact=eve)

    assert signed_call.read(signed, anna).callee(anna) == (CALLEE, eve)


@pytest.mark.parametrize(
    "field",
    [
        "telephone",
        "company",
        "company__name",
        "company.name",
        "_state",
        "forget",
        "objects",
        "DoesNotExist",
    ],
)
def test_relations_and_methods_are_an_error(field: str, anna: Any, bob: Contact) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(field)):
        render(f'call_button contact field="{field}"', anna, contact=bob)


def test_a_deleted_object_is_refused(anna: Any, bob: Contact) -> None:
    order = signed_call.read(token(anna, contact=bob), anna)
    bob.delete()

    with pytest.raises(CallRefused) as refused:
        order.callee(anna)

    assert refused.value.code == "subject_gone"


def test_a_deleted_number_is_refused(anna: Any, bob: Contact) -> None:
    order = signed_call.read(token(anna, contact=bob), anna)
    Contact.objects.update(phone=" ")

    with pytest.raises(CallRefused) as refused:
        order.callee(anna)

    assert refused.value.code == "number_missing"


@pytest.mark.parametrize("tag", ["call_button contact.phone", 'call_button contact field="phone"'])
def test_there_is_no_button_for_users_who_may_not_place_calls(tag: str, bob: Contact) -> None:
    watcher = someone("watcher", "view_callrequest", "view_numbers")

    assert render(tag, None, contact=bob) == ""
    assert render(tag, watcher, contact=bob) == ""


@pytest.mark.parametrize("tag", ["call_button contact.phone", 'call_button contact field="phone"'])
def test_there_is_no_button_without_a_number(tag: str, anna: Any) -> None:
    assert render(tag, anna, contact=contact(phone="")) == ""
    assert render(tag, anna, contact=contact(phone="  ")) == ""
    assert render(tag, anna, contact=None) == ""
    assert render(tag, anna) == ""


def test_there_is_no_button_for_an_unsaved_object(anna: Any) -> None:
    assert render('call_button contact field="phone"', anna, contact=Contact(phone=CALLEE)) == ""


@pytest.mark.parametrize(
    ("tag", "complaint"),
    [
        ("call_button contact", "which field of crm"),
        ('call_button contact.phone field="phone"', "needs an object"),
        ("call_button contact.phone subject=7", "subject must be an object"),
        ("call_button contact.phone max_duration=0", "max_duration"),
        ('call_button contact.phone max_duration="5 min"', "max_duration"),
        ('call_button contact.phone max_cost="NaN"', "max_cost"),
        ('call_button contact.phone max_cost="cheap"', "max_cost"),
        ("call_button contact.phone max_cost=-1", "max_cost"),
        ('call_button contact.phone size="huge"', "size"),
    ],
)
def test_invalid_arguments_are_an_error(tag: str, complaint: str, anna: Any, bob: Contact) -> None:
    with pytest.raises(TemplateSyntaxError, match=complaint):
        render(tag, anna, contact=bob)


def test_a_missing_request_is_an_error() -> None:
    template = Template("{% load poketalk %}{% call_button '+442079460123' %}")

    with pytest.raises(TemplateSyntaxError, match="requires the request"):
        template.render(Context())


def test_limits_are_signed_into_the_token(anna: Any, bob: Contact) -> None:
    signed = token(anna, "call_button contact.phone max_duration=90 max_cost=0.4", contact=bob)

    order = signed_call.read(signed, anna)
    assert (order.max_duration, order.max_cost) == (90, Decimal("0.4"))


def test_each_rendered_button_has_its_own_nonce(anna: Any, bob: Contact) -> None:
    first, second = (signed_call.read(token(anna, contact=bob), anna) for _ in range(2))

    assert first.idempotency_key != second.idempotency_key


def test_the_form_has_a_csrf_token_and_the_page_to_return_to(anna: Any, bob: Contact) -> None:
    html = render('call_button contact field="phone"', anna, contact=bob)

    assert 'method="post"' in html
    assert len(hidden(html, "csrfmiddlewaretoken")) >= 32
    assert hidden(html, "next") == "/contacts/7/?tab=phones"


def test_arguments_are_escaped(anna: Any) -> None:
    mallory = contact('"><script>alert(1)</script>')

    html = render(
        'call_button contact field="phone" label=name', anna, contact=mallory, name=mallory.name
    )

    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_all_buttons_of_a_page_share_one_query(anna: Any, django_assert_num_queries: Any) -> None:
    people = [contact(f"Bob {number}") for number in range(20)]
    tag = 'for each in people %}{% call_button each field="phone" %}{% endfor'
    render(tag, anna, people=people)  # fills the user's permissions

    with django_assert_num_queries(2):  # open calls, phones
        assert render(tag, anna, people=people).count("</poketalk-call>") == 20


def test_a_button_can_belong_to_a_form_elsewhere(anna: Any, bob: Contact) -> None:
    html = render('call_button contact field="phone" form="calls"', anna, contact=bob)
    elsewhere = render('call_form "calls"', anna)

    assert "<form" not in html
    assert signed_call.read(re.findall(r'form="calls" name="token" value="([^"]*)"', html)[0], anna)
    assert 'id="calls"' in elsewhere
    assert len(hidden(elsewhere, "csrfmiddlewaretoken")) >= 32
    assert hidden(elsewhere, "next") == "/contacts/7/?tab=phones"
    assert render('call_form "calls"', someone("watcher", "view_callrequest")) == ""
