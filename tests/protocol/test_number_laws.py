"""What holds for the numbers of every country: reading them, showing them and judging them."""

from __future__ import annotations

import random

import phonenumbers
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from django_poketalk.protocol import numbers
from django_poketalk.protocol.numbers import InvalidNumber, Reason

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = [
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.VOIP,
    PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.PAGER,
    PhoneNumberType.UAN,
]
DEAR = [
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.PAGER,
    PhoneNumberType.UAN,
]
ORDINARY = [kind for kind in PhoneNumberType.values() if kind not in DEAR]
ORDINARY.remove(PhoneNumberType.UNKNOWN)
# Where the law makes company numbers cost what a landline does.
NORMAL_PRICE_UAN = {"BE", "CH", "FR", "GB", "GG", "IE", "IM", "JE", "NL", "PK"}
LOCAL = {"+13101234"}  # Canada: universal access numbers without area code
SEPARATORS = ["", " ", "-", ".", " (", ") ", "\u00a0", "\u2009", "\u200e", "\u00ad"]

MARKS = ["", " ", "-", "/", ".", ",", "x", ";", "0", "00", "1", "(0)", "\u200f", "\n", "e"]


def example(region: str, kind: int) -> str | None:
    """The E.164 example number of this kind in this region, if it has one."""
    number = phonenumbers.example_number_for_type(region, kind)
    return number and phonenumbers.format_number(number, PhoneNumberFormat.E164)


EXAMPLES = [
    (region, number)
    for region in REGIONS
    for kind in KINDS
    if (number := example(region, kind)) and number not in LOCAL and len(number) > 7
]


def number_or_reason(text: str, region: str) -> str:
    try:
        return numbers.normalize(text, region)
    except InvalidNumber as error:
        return error.reason


@given(st.sampled_from(EXAMPLES), st.sampled_from(MARKS), st.integers(1, 14), st.booleans())
@settings(max_examples=200)
def test_reading_is_idempotent(
    example: tuple[str, str], mark: str, at: int, is_national: bool
) -> None:
    region, number = example
    text = number[:at] + mark + number[at:]
    if is_national:
        text = text.removeprefix(f"+{phonenumbers.country_code_for_region(region)}")
    try:
        reading = numbers.read(text, region)
    except InvalidNumber:
        assume(False)

    if not set(mark) & set("01,;x"):  # a mark that only separates
        assert reading == numbers.Reading(number)
    for again in (reading.e164, numbers.wire(reading.e164)):
        assert numbers.read(again) == numbers.Reading(reading.e164)
    for again in (reading.e164, numbers.display(reading.e164)):
        assert numbers.read(again, region) == numbers.Reading(reading.e164)
    assert numbers.read(numbers.display(reading.e164, reading.extension), region) == reading


def test_what_is_shown_reads_back_to_itself_in_every_region() -> None:
    for region, number in EXAMPLES:
        normal = numbers.normalize(number)
        national = phonenumbers.format_number(
            phonenumbers.parse(normal), PhoneNumberFormat.NATIONAL
        )

        assert normal == number
        assert numbers.normalize(numbers.display(normal)) == normal
        assert numbers.normalize(numbers.display(normal), region) == normal
        assert numbers.normalize(national, region) == normal, (region, national)


@given(st.sampled_from(EXAMPLES), st.data())
def test_separators_never_change_the_number(example: tuple[str, str], data: st.DataObject) -> None:
    region, number = example
    separators = data.draw(
        st.lists(st.sampled_from(SEPARATORS), min_size=len(number), max_size=len(number))
    )
    text = number[0] + "".join(map("".join, zip(number[1:], separators, strict=False)))

    allowed = [number, Reason.DECIMAL, Reason.SEVERAL]  # never another number
    if number.startswith("+8"):  # a lone 8 is a trunk prefix
        allowed.append(Reason.UNKNOWN_COUNTRY)
    assert number_or_reason(text, region) in allowed


@given(st.sampled_from(EXAMPLES), st.sampled_from("0123456789"))
@settings(max_examples=200)
def test_a_digit_more_is_refused_or_makes_an_assigned_number(
    example: tuple[str, str], digit: str
) -> None:
    region, number = example
    for text, of_region in [(number + digit, None), (number + digit, region)]:
        try:
            longer = numbers.normalize(text, of_region)
        except InvalidNumber:
            continue
        assert phonenumbers.is_valid_number(phonenumbers.parse(longer)), (number, longer)


@pytest.mark.parametrize("kind", DEAR)
def test_no_dear_number_passes_plain_or_with_digits_behind_it(kind: int) -> None:
    """With its region allowed. A longer number that is assigned itself is another number."""
    rng = random.Random(kind)
    for region in REGIONS:
        number = example(region, kind)
        is_normal = kind == PhoneNumberType.UAN and region in NORMAL_PRICE_UAN
        if number is None or number in LOCAL or is_normal:
            continue
        tails = [""] + ["".join(rng.choices("0123456789", k=1 + at % 5)) for at in range(15)]
        tails += ["0" * length for length in range(1, 6)]
        for tail in tails:
            try:
                longer = numbers.normalize(number + tail)
            except InvalidNumber:
                continue
            may_be_called = numbers.country(longer) == region and not numbers.is_premium(longer)
            kind_of_longer = phonenumbers.number_type(phonenumbers.parse(longer))
            is_another = tail and kind_of_longer in ORDINARY
            assert is_another or not may_be_called, (region, longer)


@pytest.mark.parametrize("region", sorted(NORMAL_PRICE_UAN))
def test_company_numbers_at_the_normal_price_pass(region: str) -> None:
    number = example(region, PhoneNumberType.UAN)

    assert number is not None
    assert not numbers.is_premium(number)


def test_ordinary_numbers_of_every_region_are_not_dear() -> None:
    for region in REGIONS:
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.TOLL_FREE):
            number = example(region, kind)
            assert number is None or not numbers.is_premium(number), number


@pytest.mark.parametrize("prefix", ["0", "0044", "01133", "00", "999", "210", "+0"])
def test_a_prefix_that_no_number_has_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidNumber):
        numbers.normalize_prefix(prefix)


def test_each_beginning_of_a_number_is_a_prefix() -> None:
    for _region, number in EXAMPLES:
        for length in range(2, len(number) + 1):
            assert numbers.normalize_prefix(number[:length]) == number[:length]
