"""Properties of admission for all inputs."""

from __future__ import annotations

import re
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from django_poketalk.protocol.codes import ResponseCode
from django_poketalk.server import admission
from django_poketalk.server.admission import Admitted, CallForm, Malformed, Refused
from django_poketalk.server.models import BlacklistedNumber, Call

from .conftest import CALLEE, CALLER, PATH, Customer

SEPARATORS = "+ -.()[]\t"
law = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

plain_gaps = st.lists(st.text(" -()[]\t", max_size=2), min_size=16, max_size=16)
gaps = st.lists(st.text(SEPARATORS, max_size=2), min_size=16, max_size=16)


def written(number: str, between: list[str]) -> str:
    """The number with separators before, between and after its digits."""
    digits = [between[i] + digit for i, digit in enumerate(number)]
    return "".join(digits) + between[len(number)]


def call_form(customer: Customer, **changes: Any) -> CallForm:
    fields = {
        "api_key": customer.secret,
        "from_number": CALLER,
        "to_number": CALLEE,
        "address": "127.0.0.1",
    }
    return CallForm(**(fields | changes))


@given(listed=plain_gaps, given_=gaps, is_prefix=st.booleans(), on_leg_a=st.booleans())
@law
def test_refuses_a_blacklisted_number_in_any_format(
    customer: Customer, listed: list[str], given_: list[str], is_prefix: bool, on_leg_a: bool
) -> None:
    number = CALLER if on_leg_a else CALLEE
    entry = BlacklistedNumber(number=written(number, listed)[:32], is_prefix=True)
    if not is_prefix:
        entry = BlacklistedNumber(number=written(number, listed), is_prefix=False)
    entry.full_clean(exclude=["number"])
    entry.save()
    leg = "from_number" if on_leg_a else "to_number"
    outcome = admission.admit(call_form(customer, **{leg: written(number, given_)}))
    entry.delete()
    if isinstance(outcome, Malformed):  # never another number
        assert "decimal" in outcome.reason
    else:
        assert outcome == Refused(ResponseCode.BLACKLISTED)


def test_a_trunk_zero_does_not_bypass_the_blacklist(customer: Customer) -> None:
    BlacklistedNumber.objects.create(number="+44 (0)20 7946 0123")
    BlacklistedNumber.objects.create(number="97254", is_prefix=True)
    for number in ("442079460123", "4402079460123", "+44 (0) 20-7946-0123", "9720541234567"):
        outcome = admission.admit(call_form(customer, to_number=number))
        assert outcome == Refused(ResponseCode.BLACKLISTED), number


anything = st.text(max_size=30) | st.text("0123456789+ -.()[];@*#,wp\t\0٣３", max_size=30)


@given(from_number=anything, to_number=anything)
@example("442079460000", "12025550123;tag=x")
@example("442079460000", "１２０２５５５０１２３")
@example("442079460000", "12025550123\n")
@law
def test_admitted_numbers_are_plain_digits(
    customer: Customer, from_number: str, to_number: str
) -> None:
    with transaction.atomic():
        outcome = admission.admit(call_form(customer, from_number=from_number, to_number=to_number))
        for call in Call.objects.all():
            assert re.fullmatch(r"[1-9][0-9]{6,14}", call.from_number, re.ASCII)
            assert re.fullmatch(r"[1-9][0-9]{6,14}", call.to_number, re.ASCII)
        assert Call.objects.count() == isinstance(outcome, Admitted)
        transaction.set_rollback(True)


@given(custom=st.text(max_size=260))
@law
def test_stores_custom_unchanged_or_rejects_it(customer: Customer, custom: str) -> None:
    with transaction.atomic():
        outcome = admission.admit(call_form(customer, custom=custom))
        if isinstance(outcome, Admitted):
            stored = Call.objects.get().custom
            assert stored == custom if custom else len(stored) == 32
        else:
            assert isinstance(outcome, Malformed)
            assert len(custom) > 255 or not custom.isprintable()
        transaction.set_rollback(True)


bodies = st.binary(max_size=300) | st.lists(
    st.tuples(
        st.sampled_from([b"api_key", b"from", b"to", b"custom", b"eventurl", b""]),
        st.binary(max_size=40),
    ),
    max_size=8,
).map(lambda fields: b"&".join(b"=".join(field) for field in fields))
types = st.sampled_from(
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-16",
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=x; charset=hex",
        "text/plain",
    ]
)


@given(body=bodies, content_type=types, prefix=st.sampled_from([b"", b"--x\r\n"]))
@law
def test_no_body_causes_a_server_error(
    customer: Customer, body: bytes, content_type: str, prefix: bytes
) -> None:
    response = customer.client.generic("POST", PATH, prefix + body, content_type=content_type)
    assert response.status_code in (200, 400)
    if response.status_code == 200:
        assert response.content.decode() in {code.value for code in ResponseCode}


@given(field=st.sampled_from(["from", "to", "custom", "eventurl"]), value=st.binary(max_size=60))
@law
def test_no_field_value_causes_a_server_error(customer: Customer, field: str, value: bytes) -> None:
    form = {**customer.form(), field: value}
    with transaction.atomic():
        response = customer.client.post(PATH, form)
        assert response.status_code in (200, 400)
        transaction.set_rollback(True)
