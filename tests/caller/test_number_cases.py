"""Every place that takes a number gives the same right answer for each of the cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import phonenumbers
import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from phonenumbers import PhoneNumberFormat

from django_poketalk.blacklist import parsing
from django_poketalk.calls import requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.forms import BlacklistedNumberForm, OwnNumberForm, PhoneNumberField
from django_poketalk.models import CallRequest
from tests.crm.models import Contact
from tests.protocol.number_cases import ALLOWED, CALLERS, JUDGED, OBJECTS, REFUSED, Case

from .api.rest_client import CALLS, client, post
from .conftest import CALLER
from .people import agent, contact, logged_in, token

pytestmark = pytest.mark.django_db

READ = [case for case in CALLERS if case.kind not in JUDGED and case.kind != "extension"]
# Why the numbers of these kinds are not called.
CODES = {
    "overlong_premium": {"number_invalid", "premium"},
    "uan_not_premium": {"premium"},
    "foreign_part_of_country_code": {"country_not_allowed", "satellite"},
}
JUDGED_CASES = [case for case in CALLERS if case.kind in JUDGED]
# In bulk input, these separate lines and cells.
ONE_LINE = [case for case in READ if len(case.text.splitlines()) == 1 and "\t" not in case.text]

NO_NUMBER = ("number_invalid", "required", "null_characters_not_allowed")

Change = Callable[..., None]


def with_form_field(case: Case) -> str:
    try:
        return PhoneNumberField().clean(case.text)
    except ValidationError as error:
        return REFUSED if error.error_list[0].code in NO_NUMBER else str(error)


def with_own_number_form(case: Case) -> str:
    form = OwnNumberForm({"number": case.text})
    return form.cleaned_data["number"] if form.is_valid() else REFUSED


def with_blacklist_form(case: Case) -> str:
    form = BlacklistedNumberForm({"number": case.text, "direction": "to"})
    return form.instance.number if form.is_valid() else REFUSED


def with_request_call(case: Case) -> str:
    try:
        return requesting.request_call(from_number=CALLER, to_number=case.text).to_number
    except CallRefused as refusal:
        is_number = (refusal.code, refusal.field) == ("number_invalid", "to_number")
        return REFUSED if is_number else f"{refusal.code}, {refusal.field}"


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
    for case in ONE_LINE:
        pasted = parsing.parse(case.text, case.region)
        found = [line.number for line in pasted.lines] or [REFUSED]

        assert case.accepts(found[0]), case


def test_the_api_and_the_button_agree_on_each_text(poketalk: Change) -> None:
    anna = agent()
    api, browser, bob = client(anna), logged_in(anna), contact()
    wrong = {}
    for case in READ:
        cache.clear()  # of the throttles
        poketalk(DEFAULT_REGION=case.region, ALLOW_PREMIUM=True)
        response = post(api, CALLS, {"to_number": case.text})
        given = taken_order() or refused_by(response)
        if not case.accepts(given):
            wrong[f"{case} by the API"] = given

        Contact.objects.filter(pk=bob.pk).update(phone=case.text)
        bob.refresh_from_db()
        browser.post("/poketalk/place/", {"token": token(anna, contact=bob)})
        given = taken_order() or REFUSED
        if not case.accepts(given):
            wrong[f"{case} by the button"] = given

    assert wrong == {}


def taken_order() -> str:
    """The number of the call that was requested, "" if none was. Forgets the call."""
    number = CallRequest.objects.values_list("to_number", flat=True).first() or ""
    CallRequest.objects.all().delete()
    return number


def refused_by(response: Any) -> str:
    """`refused`, if the API's answer says that the number is the reason."""
    problem = response.json()
    is_number = (problem.get("code"), problem.get("field")) == ("number_invalid", "to_number")
    return REFUSED if is_number else str(problem)


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
    assert refusal.value.code in CODES[case.kind]


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
