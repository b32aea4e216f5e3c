"""Numbers as people, spreadsheets and other programs write them, with their right answers."""

from __future__ import annotations

import phonenumbers
import pytest

from django_poketalk.protocol import numbers
from django_poketalk.protocol.numbers import InvalidNumber, Reason

from .number_cases import ALLOWED, CALLERS, JUDGED, OBJECTS, ON_WIRE, REFUSED, Case

# The service's blacklist in the cases on the wire.
BLACKLISTED = ("449", "49900", "49137", "525512345678", "528112345678")


@pytest.mark.parametrize("case", CALLERS, ids=str)
def test_a_text_gives_its_number_or_is_refused(case: Case) -> None:
    assert case.accepts(_answer(case))


@pytest.mark.parametrize("case", OBJECTS, ids=str)
def test_a_number_object_knows_its_country(case: Case) -> None:
    number = phonenumbers.parse(case.text.split()[-1])

    assert case.accepts(numbers.read(number, case.region).e164)
    assert case.accepts(numbers.read(numbers.as_text(number), case.region).e164)


@pytest.mark.parametrize("case", ON_WIRE, ids=str)
def test_a_request_is_refused_or_matches_the_blacklist(case: Case) -> None:
    assert case.expected == REFUSED
    try:
        digits = numbers.read_wire(case.text)
    except InvalidNumber:
        return
    assert digits.startswith(BLACKLISTED)


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("555-0123", "US", Reason.AREA_CODE),
        ("1234 5678", "MX", Reason.AREA_CODE),
        ("123 45 67", "RU", Reason.AREA_CODE),
        ("555 0123", "AU", Reason.AREA_CODE),
        ("+1 555-0123", None, Reason.AREA_CODE),
        ("202-555-XXXX", "US", Reason.HIDDEN),
        ("063998dgfs", "FR", Reason.LETTERS),
        ("3023125012.0", "DE", Reason.DECIMAL),
        ("05331 8400 / 8401", "DE", Reason.SEVERAL),
        ("000-000-0000", "US", Reason.PLACEHOLDER),
        ("+4420794601234", None, Reason.TOO_LONG),
        ("+49302312501234567", None, Reason.TOO_LONG),
        ("+33198765", None, Reason.TOO_SHORT),
        ("020 7946 0123", None, Reason.NO_COUNTRY),
        ("+999 123456789", None, Reason.UNKNOWN_COUNTRY),
        ("202-155-0123", "US", Reason.IMPOSSIBLE),
        ("44 20 7946 0123", "US", Reason.PLUS),
        ("0052 55 1234 5678", None, Reason.PLUS),
        ("0052 55 1234 5678", "US", Reason.PLUS),
        ("1800 FLOWERS", "AU", Reason.TOO_LONG),
        ("202-555-01234", "US", Reason.TOO_LONG),
        ("202-555-0123/4", "US", Reason.SEVERAL),
        ("02079460123 02079460124", "GB", Reason.SEVERAL),
        ("020 7946 0123-5", "GB", Reason.SEVERAL),
        ("030 23125012-13", "DE", Reason.SEVERAL),
        ("7946 0123-5", "GB", Reason.AREA_CODE),
        ("020·7946·0123", "GB", Reason.TEXT),
        ("020_7946_0123", "GB", Reason.TEXT),
        ("020 7946 01··", "GB", Reason.HIDDEN),
        ("+44 20 7946 0123 ext. 123456789012", None, Reason.EXTENSION),
        ("02079460123,02079460124", "GB", Reason.SEVERAL),
        ("sip:anna", None, Reason.TEXT),
        ("+44 20 7946 01\x0023", None, Reason.TEXT),
        ("", "GB", Reason.EMPTY),
        (None, "GB", Reason.EMPTY),
    ],
)
def test_the_reason_is_the_true_one(text: str | None, region: str | None, reason: Reason) -> None:
    with pytest.raises(InvalidNumber) as error:
        numbers.read(text, region)

    assert error.value.reason == reason
    assert (
        str(text or "") in str(error.value)
        or not str(error.value).isprintable()
        or "\x00" in str(text)
    )


def test_the_person_is_told_that_there_are_two_numbers() -> None:
    others = {}
    for case in CALLERS:
        if case.kind == "two_numbers_in_one_field" and case.expected == REFUSED:
            with pytest.raises(InvalidNumber) as error:
                numbers.read(case.text, case.region)
            if error.value.reason != Reason.SEVERAL:
                others[case.text] = error.value.reason

    # Neither of them is a whole number.
    assert others == {"7946 0123-5": Reason.AREA_CODE}


def test_the_example_is_written_as_in_the_region() -> None:
    with pytest.raises(InvalidNumber, match=r"such as \(201\) 555-0123"):
        numbers.read("555-0123", "US")
    with pytest.raises(InvalidNumber, match=r"such as 0121 234 5678"):
        numbers.read("7946 0123", "GB")


def test_the_example_has_a_plus_where_it_is_missing() -> None:
    with pytest.raises(InvalidNumber, match=r"such as \+44 20 7946 0123"):
        numbers.read("44 20 7946 0123", "US")


def test_a_region_that_is_no_code_is_an_error_of_the_program() -> None:
    with pytest.raises(TypeError, match="ISO 3166 alpha-2 code or None, not 44"):
        numbers.read("020 7946 0123", 44)  # type: ignore[arg-type]


def test_a_number_with_an_extension_is_refused_where_none_can_be_used() -> None:
    with pytest.raises(InvalidNumber) as error:
        numbers.normalize("+44 20 7946 0123 ext. 12")

    assert error.value.reason == Reason.EXTENSION


def _answer(case: Case) -> str:
    try:
        reading = numbers.read(case.text, case.region)
    except InvalidNumber:
        return REFUSED
    if case.kind in JUDGED:
        number = reading.e164
        may_be_called = (
            numbers.country(number) == case.region
            and not numbers.is_premium(number)
            and not numbers.is_satellite(number)
        )
        return ALLOWED if may_be_called else REFUSED
    return f"{reading.e164};ext={reading.extension}" if reading.extension else reading.e164
