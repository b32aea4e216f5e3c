"""A search finds numbers by their beginnings, in any usual spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.protocol import number_search, numbers

from .test_number_laws import EXAMPLES

NUMBERS = st.from_regex(r"\+[1-9][0-9]{6,13}", fullmatch=True)


def is_normal(number: str) -> bool:
    """Whether the number is in normal form."""
    try:
        return numbers.normalize(number) == number
    except numbers.InvalidNumber:
        return False


@pytest.mark.parametrize(
    ("text", "region", "meant"),
    [
        ("+49 (0)30 123", None, "+4930123"),
        ("+49 030 123", None, "+4930123"),
        ("0049 30 123", None, "+4930123"),
        ("0049-30/123", "DE", "+4930123"),
        ("030 123", "DE", "+4930123"),
        ("(030) 123", "DE", "+4930123"),
        ("30123", "DE", "+4930123"),
        ("4930123", None, "+4930123"),
        ("011 49 30 123", "US", "+4930123"),
        ("(415) 555", "US", "+1415555"),
        ("1-415-555", "US", "+1415555"),
        ("1001", "GB", "1001"),  # an internal number
        ("06 123", "IT", "+3906123"),  # in Italy, the zero is part of the number
        ("+44\N{NO-BREAK SPACE}20 7946\N{NON-BREAKING HYPHEN}0123", None, "+442079460123"),
        ("\N{LEFT-TO-RIGHT ISOLATE}+44 20\N{POP DIRECTIONAL ISOLATE}", None, "+4420"),
    ],
)
def test_finds_a_beginning_in_any_spelling(text: str, region: str | None, meant: str) -> None:
    assert meant in number_search.beginnings(text, region)


@pytest.mark.parametrize("text", ["", "+", "0", "anna", "030 1234", "٠", "+1" * 9, "1" * 40, "+0"])
def test_finds_nothing_in_other_text(text: str) -> None:
    assert number_search.beginnings(text) == []


@given(
    st.sampled_from([number for _region, number in EXAMPLES]),
    st.integers(min_value=2, max_value=16),
    st.sampled_from([None, "DE", "US", "IT"]),
)
def test_every_beginning_of_a_number_finds_it(number: str, length: int, region: str | None) -> None:
    for typed in (number[:length], f"00{number[1:length]}", numbers.display(number)[:length]):
        meant = number_search.beginnings(typed, region)
        assert any(number.startswith(beginning) for beginning in meant), (typed, meant)


@given(NUMBERS, NUMBERS, st.integers(min_value=2, max_value=8))
def test_a_span_contains_exactly_the_numbers_with_its_beginning(
    number: str, other: str, length: int
) -> None:
    beginning = number[:length]
    first, end = number_search.span(beginning)

    for each in (number, other):
        within = first <= each and (end is None or each < end)
        assert within == each.startswith(beginning)


@given(st.text(max_size=40), st.sampled_from([None, "DE", "ZZ"]))
def test_accepts_any_text(text: str, region: str | None) -> None:
    for beginning in number_search.beginnings(text, region):
        digits = beginning.removeprefix("+")
        assert digits.isascii()
        assert digits.isdigit()
        assert beginning != digits or numbers.is_internal(digits)
