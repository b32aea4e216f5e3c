"""Phone numbers are normalized, read from requests, displayed, masked and classified."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from django_poketalk.protocol import numbers
from django_poketalk.protocol.numbers import InvalidNumber, Reason

# Numbers of every country, with digits that people insert after the country code.
COUNTRY_CODES = st.sampled_from(sorted(map(str, COUNTRY_CODE_TO_REGION_CODE)))
TRUNKS = st.sampled_from(["", "0", "00", "000", "8", "80", "06"])
NUMBERS = st.builds(
    "{}{}{}".format, COUNTRY_CODES, TRUNKS, st.text("0123456789", min_size=5, max_size=11)
)
ODD = st.text("0123456789 -+()٣a;\n", max_size=20)
TEXTS = st.text("0123456789 -", min_size=5, max_size=18) | ODD | st.text(max_size=40)
SEPARATORS = st.sampled_from(["", " ", "-", ".", "(", ")", "+", "[", "]"])


def read_or_reason(text: str) -> str:
    try:
        return numbers.read_wire(text)
    except InvalidNumber as error:
        return error.reason


class TestNormalize:
    @pytest.mark.parametrize(
        ("written", "region", "normal"),
        [
            ("+442079460123", None, "+442079460123"),
            ("442079460123", None, "+442079460123"),
            (" 44 20 7946 0123 ", None, "+442079460123"),
            ("+44 (0)20 7946-0123", None, "+442079460123"),
            ("020 7946 0123", "GB", "+442079460123"),
            ("0044 20 7946 0123", "DE", "+442079460123"),
            ("011 44 20 7946 0123", "US", "+442079460123"),
            ("+49 30 23125 012", "GB", "+493023125012"),
            ("(202) 555-0123", "US", "+12025550123"),
            # A trunk zero after the country code is removed …
            ("972054 123 4567", None, "+972541234567"),
            ("+972 054-123-4567", None, "+972541234567"),
            ("+972 0054 123 4567", None, "+972541234567"),
            # … but in Italy it is part of the number.
            ("+39 06 1234 5678", None, "+390612345678"),
        ],
    )
    def test_normalizes_any_usual_spelling_to_e164(
        self, written: str, region: str | None, normal: str
    ) -> None:
        assert numbers.normalize(written, region) == normal

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "phone",
            "+",
            "0",
            "12",
            "+44",
            "020 7946 0123",
            "00442079460123",
            "+4420794601234567890",
            "+442079460123 ext. 5",
            "+999123456789",
            "+44207946\x000123",
            "sip:anna@example.com",
        ],
    )
    def test_rejects_other_text_and_quotes_it(self, text: str) -> None:
        with pytest.raises(InvalidNumber) as error:
            numbers.normalize(text)

        assert repr(text) in str(error.value)

    @settings(suppress_health_check=[HealthCheck.filter_too_much])
    @given(NUMBERS)
    def test_is_idempotent_and_matches_the_wire_format(self, text: str) -> None:
        try:
            normal = numbers.normalize(text)
        except InvalidNumber:
            assume(False)

        assert numbers.normalize(normal) == normal
        assert numbers.normalize(numbers.wire(normal)) == normal
        assert re.fullmatch(r"[1-9][0-9]{6,14}", numbers.wire(normal), re.ASCII)
        assert numbers.read_wire(numbers.wire(normal)) == numbers.wire(normal)

    @given(TEXTS, st.sampled_from([None, "GB", "US", "IL"]))
    def test_normalizes_or_rejects_any_text(self, text: str, region: str | None) -> None:
        try:
            normal = numbers.normalize(text, region)
        except InvalidNumber:
            return
        assert re.fullmatch(r"\+[1-9][0-9]{6,14}", normal, re.ASCII)


class TestNormalizePrefix:
    @pytest.mark.parametrize("written", ["+4420", "4420", "+44 20", "44-20", "(44) 20"])
    def test_accepts_any_usual_spelling_of_a_prefix(self, written: str) -> None:
        assert numbers.normalize_prefix(written) == "+4420"

    @pytest.mark.parametrize("text", ["", "+", "0", "+0", "00", "abc", "+44a", "1" * 16, "٤x"])
    def test_rejects_text_that_no_number_begins_with(self, text: str) -> None:
        with pytest.raises(InvalidNumber):
            numbers.normalize_prefix(text)


class TestReadWire:
    @given(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True), st.data())
    def test_ignores_separators(self, digits: str, data: st.DataObject) -> None:
        written = "".join(data.draw(SEPARATORS) + digit + data.draw(SEPARATORS) for digit in digits)

        plain, grouped = read_or_reason(digits), read_or_reason(written)

        assert grouped in (plain, Reason.DECIMAL, Reason.SEVERAL)  # never another number

    @pytest.mark.parametrize("text", ["", " ", "+", "()", "abc", "٣٣٣٣٣٣٣٣", "①②③"])
    def test_text_without_digits_is_a_missing_number(self, text: str) -> None:
        assert numbers.read_wire(text) == ""

    @pytest.mark.parametrize(
        "text",
        [
            "0",
            "123456",
            "0442079460123",
            "00442079460123",
            "4" * 16,
            "4420794٣0123",
            "44;2079460123",
            "sip:442079460123@x",
            "442079460123\r\n",
            "442079460123&x",
            "PJSIP/1001",
        ],
    )
    def test_rejects_digits_with_other_text(self, text: str) -> None:
        with pytest.raises(InvalidNumber):
            numbers.read_wire(text)

    @given(TEXTS)
    def test_returns_only_valid_digits(self, text: str) -> None:
        try:
            digits = numbers.read_wire(text)
        except InvalidNumber:
            return
        assert not digits or re.fullmatch(r"[1-9][0-9]{6,14}", digits, re.ASCII)


class TestDisplayAndMask:
    def test_display_groups_the_digits(self) -> None:
        assert numbers.display("+442079460123") == "+44 20 7946 0123"
        assert numbers.display("442079460123") == "+44 20 7946 0123"

    def test_mask_keeps_the_country_code_and_two_digits(self) -> None:
        assert numbers.mask("+442079460123") == "+44 ••••••••23"
        assert numbers.mask("12025550123") == "+1 ••••••••23"

    @given(st.text("+0123456789", max_size=16))
    def test_mask_keeps_at_most_five_digits(self, text: str) -> None:
        visible = re.sub(r"[^0-9]", "", numbers.mask(text))

        assert len(visible) <= 3 + 2

    @pytest.mark.parametrize("text", ["", "+", "+44", "4", "x", "+4420"])
    def test_accepts_incomplete_numbers(self, text: str) -> None:
        assert isinstance(numbers.mask(text), str)
        assert isinstance(numbers.display(text), str)


class TestMaskWithin:
    @given(NUMBERS, st.lists(SEPARATORS, min_size=20, max_size=20))
    def test_masks_numbers_in_any_grouping(self, digits: str, separators: list[str]) -> None:
        assume(len(digits) >= 7)
        pairs = zip(digits, separators, strict=False)
        grouped = "".join(digit + mark for digit, mark in pairs if mark != "+")
        assume(sum(letter.isdigit() for letter in grouped) >= 7)

        masked = numbers.mask_within(f"Call to {grouped} refused")

        assert sum(letter.isdigit() for letter in masked) == 2

    @pytest.mark.parametrize(
        "text", ["", "60 ERROR", "HTTP 502", "maximum duration of 3600 s", "0.421", "call 123456"]
    )
    def test_leaves_other_text_unchanged(self, text: str) -> None:
        assert numbers.mask_within(text) == text

    @pytest.mark.parametrize("sign", ["·", "_", ":", "+", " +", " · "])
    def test_masks_numbers_with_rare_separators(self, sign: str) -> None:
        for digits in (
            ["44", "20", "7946", "0123"],
            ["020", "7946", "0123"],
            ["612", "345", "623"],
        ):
            number = sign.join(digits)
            for text, masked in (
                (f"Call {number} again", "Call ••••••23 again"),
                (f"10:30, {number}", "10:30, ••••••23"),
                (f"{number}, 10:30", "••••••23, 10:30"),
            ):
                assert numbers.mask_within(text) == masked
                assert numbers.mask_in_records(text) == masked
            assert re.search(numbers.MAYBE_WITHIN, number)

    @pytest.mark.parametrize("mask", [numbers.mask_within, numbers.mask_in_records])
    @pytest.mark.parametrize(
        "text",
        [
            *(
                "10:30:15",
                "10:30:15.123456",
                "10:30–11:45",
                "9:00:00 - 17:30:00",
                "at 10:30 + 15 min",
            ),
            *(
                "2026-11-30",
                "2026-11-30T10:30:15.123+01:00",
                "2026-11-30 10:30:15,123",
                "30.11.2026",
            ),
            *("am 30. 11. 2026 10:30–11:45", "11/30/2026 9:05", "30/11/2026", "10:30 30.11.2026"),
            *("EUR 123.45 + 1.99", "12+30+45", "1:30", "16:9, 1920:1080", "12:50 € 3.50"),
            *("INV_2026_001", "order_17_42", "2026_001:5", "room 3·12·4", "call:12345"),
        ],
    )
    def test_keeps_times_dates_prices_and_short_ids(self, text: str, mask: Any) -> None:
        assert mask(text) == text

    @pytest.mark.parametrize("mask", [numbers.mask_within, numbers.mask_in_records])
    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("44:20:79:46:01:23", "••••••23"),  # begins as a time
            ("10:30 79 46 01 23", "••••••23"),
            ("12:30:45 · 79460123", "••••••23"),
            ("020 12.11.2046", "••••••46"),  # ends as a date
            ("2026-11-30 442079460123", "2026-11-30 ••••••23"),
            ("10:30 +442079460123", "10:30 ••••••23"),
        ],
    )
    def test_masks_numbers_that_look_like_times(self, text: str, masked: str, mask: Any) -> None:
        assert mask(text) == masked

    @pytest.mark.parametrize(
        "text", ["192.0.2.10:5060", "2001:4860:4860::8888", "2001:db8:85a3:0:0:8a2e:370:7334"]
    )
    def test_records_keep_ip_addresses(self, text: str) -> None:
        assert numbers.mask_in_records(f"to {text} failed") == f"to {text} failed"

    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("?q=%2B44%2020%207946%200123&p=1", "?q=%2B••••••23&p=1"),
            ("/?q=44%20%2820%29%207946%2d0123", "/?q=••••••23"),
            ("<a>+44&nbsp;20&nbsp;7946&nbsp;0123</a>", "<a>••••••23</a>"),
            ("+44&#160;20&#xA0;7946&#160;0123", "••••••23"),
        ],
    )
    def test_masks_numbers_in_urls_and_html(self, text: str, masked: str) -> None:
        assert numbers.mask_within(text) == masked
        assert numbers.mask_in_records(text) == masked
        assert re.search(numbers.MAYBE_WITHIN, text)

    @pytest.mark.parametrize("mark", ["%20", "&nbsp;"])
    def test_one_number_is_found_in_urls_and_html(self, mark: str) -> None:
        text = f"+44{mark}20{mark}7946{mark}0123"

        assert re.search(numbers.pattern_within("+442079460123"), text)
        assert not re.search(numbers.pattern_within("+442079460124"), text)

    def test_short_numbers_are_searched_with_their_country_code(self) -> None:
        pattern = numbers.pattern_within("+6834002")

        assert numbers.mask_in_records("+683 4002, room 4002", pattern) == "••••••02, room 4002"
        assert re.search(pattern, "call +683_4002")
        assert not re.search(pattern, "order 4002")


class TestCountriesAndKinds:
    @pytest.mark.parametrize(
        ("number", "country"),
        [
            ("+442079460123", "GB"),
            ("+12025550123", "US"),
            ("+16135550123", "CA"),
            ("+18765551234", "JM"),
            ("+15550100", None),
            ("+493023125012", "DE"),
            ("+870773111632", None),
            ("", None),
        ],
    )
    def test_country_is_none_if_uncertain(self, number: str, country: str | None) -> None:
        assert numbers.country(number) == country

    @pytest.mark.parametrize("prefix", ["870", "878", "881", "882", "883", "888", "979"])
    def test_satellite_ranges_include_those_that_libphonenumber_calls_mobile(
        self, prefix: str
    ) -> None:
        assert numbers.is_satellite(f"+{prefix}61234567")
        assert not numbers.is_satellite(f"+44{prefix}612345")

    def test_recognizes_premium_numbers(self) -> None:
        assert numbers.is_premium("+449098790123")
        assert numbers.is_premium("+19005550123")
        assert not numbers.is_premium("+442079460123")
        assert not numbers.is_premium("")
