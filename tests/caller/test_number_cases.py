"""Every place that takes a number gives the same right answer for each of the cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import phonenumbers
import pytest
from django.core.exceptions import ValidationError
from phonenumbers import PhoneNumberFormat

from django_poketalk.blacklist import parsing
from django_poketalk.calls import requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.forms import BlacklistedNumberForm, OwnNumberForm, PhoneNumberField
from django_poketalk.models import CallRequest
from tests.protocol.number_cases import ALLOWED, CALLERS, JUDGED, OBJECTS, REFUSED, Case

from .api.rest_client import CALLS, client, post
from .conftest import CALLER
from .people import agent, contact, logged_in, token

pytestmark = pytest.mark.django_db

READ = [case for case in CALLERS if case.kind not in JUDGED and case.kind != "extension"]
JUDGED_CASES = [case for case in CALLERS if case.kind in JUDGED]
NO_SEPARATORS = [case for case in READ if not set(case.text) & set(",;\t\n")]

Change = Callable[..., None]


def with_form_field(case: Case) -> str:
    try:
        return PhoneNumberField().clean(case.text)
    except ValidationError:
        return REFUSED


def with_own_number_form(case: Case) -> str:
    form = OwnNumberForm({"number": case.text})
    return form.cleaned_data["number"] if form.is_valid() else REFUSED


def with_blacklist_form(case: Case) -> str:
    form = BlacklistedNumberForm({"number": case.text, "direction": "to"})
    return form.instance.number if form.is_valid() else REFUSED


def with_request_call(case: Case) -> str:
    try:
        return requesting.request_call(from_number=CALLER, to_number=case.text).to_number
    except CallRefused:
        return REFUSED


@pytest.mark.parametrize(
    "answer", [with_form_field, with_own_number_form, with_blacklist_form, with_request_call]
)
def test_forms_and_python_agree_on_each_text(
    answer: Callable[[Case], str], poketalk: Change
) -> None:
    wrong = {}
    for case in READ:
        poketalk(DEFAULT_REGION=case.region, ALLOW_PREMIUM=True)
        given = answer(case)
        if not case.accepts(given):
            wrong[str(case)] = given

    assert wrong == {}


def test_bulk_input_agrees_on_each_text(poketalk: Change) -> None:
    for case in NO_SEPARATORS:
        pasted = parsing.parse(case.text, case.region)
        found = [line.number for line in pasted.lines] or [REFUSED]

        assert case.accepts(found[0]), case


@pytest.mark.parametrize("case", [case for case in READ if case.region != "US"][::7], ids=str)
def test_the_api_and_the_button_agree(case: Case, poketalk: Change) -> None:
    poketalk(DEFAULT_REGION=case.region)
    anna = agent()

    response = post(client(anna), CALLS, {"to_number": case.text})
    ordered = CallRequest.objects.filter(user=anna).first()
    assert case.accepts(ordered.to_number if ordered else REFUSED), response.content
    CallRequest.objects.all().delete()

    bob = contact(phone=case.text)
    logged_in(anna).post("/poketalk/place/", {"token": token(anna, contact=bob)})
    pressed = CallRequest.objects.filter(user=anna).first()
    assert case.accepts(pressed.to_number if pressed else REFUSED)


@pytest.mark.parametrize("case", JUDGED_CASES, ids=str)
def test_only_ordinary_numbers_of_an_allowed_country_are_called(
    case: Case, poketalk: Change
) -> None:
    poketalk(DEFAULT_REGION=case.region, ALLOWED_COUNTRIES=[case.region])
    own = phonenumbers.example_number(case.region)
    from_number = phonenumbers.format_number(own, PhoneNumberFormat.E164)

    if case.expected == ALLOWED:
        requesting.request_call(from_number=from_number, to_number=case.text)
        return
    with pytest.raises(CallRefused) as refusal:
        requesting.request_call(from_number=from_number, to_number=case.text)
    assert refusal.value.field == "to_number"


@pytest.mark.parametrize("case", OBJECTS, ids=str)
def test_number_objects_are_called_by_their_own_country(
    case: Case, poketalk: Change, settings: Any
) -> None:
    from phonenumber_field.phonenumber import PhoneNumber  # reads its settings when it is used

    poketalk(DEFAULT_REGION=case.region)
    form, stored = case.text.split()
    if form == "phonenumbers":
        number: Any = phonenumbers.parse(stored)
    else:
        settings.PHONENUMBER_DEFAULT_FORMAT = form
        number = PhoneNumber.from_string(stored)

    assert case.accepts(requesting.request_call(from_number=CALLER, to_number=number).to_number)
