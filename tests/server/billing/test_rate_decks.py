"""A deck is read as it was meant, or refused with the line and the reason."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.server.billing.rate_decks import comparison, reading
from django_poketalk.server.billing.rate_decks.columns import MONEY, VALID_FROM, Key
from django_poketalk.server.billing.rate_decks.reading import Dialect, UnreadableDeck
from django_poketalk.server.billing.rate_decks.validity import RatesByDay
from django_poketalk.server.models import Rate
from django_poketalk.shared import csv_export

FOLDER = Path(__file__).parent / "decks"
HEADER = "prefix,destination,price_per_minute,connect_fee,initial_increment,subsequent_increment\n"


def read(text: str, dialect: Dialect = Dialect.COMMAS) -> reading.Deck:
    return reading.read(text.encode(), dialect)


def terms(deck: reading.Deck, prefix: str) -> list[Any]:
    assert deck.wrong == []
    return deck.rows[Key(False, prefix)].terms


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        ("prefixes_with_00", [2, 3], "never with 0"),
        ("prefixes_with_011", [3], "never with 0"),
        ("total_without_prefix", [3], "Only * is for all numbers"),
        ("plus_alone", [2], "Only * is for all numbers"),
        ("star_before_digits", [2], "“*33” is not a prefix"),
        ("wrong_row_behind_blank_lines", [5], "“bad” is not a number"),
        ("wrong_rows_far_down", [12, 22], "“0;05” is not a number"),
    ],
)
def test_names_each_wrong_line_and_why(name: str, lines: list[int], words: str) -> None:
    deck = reading.read((FOLDER / f"{name}.csv").read_bytes())

    assert [wrong.line for wrong in deck.wrong] == lines
    assert all(words in wrong.words for wrong in deck.wrong)


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        *(
            (text, f"“{text}” is not a prefix")
            for text in ("44 20", "44-46", "4.4E+11", "Total", "٤٤")
        ),
        ("4" * 16, "The prefix has more than 15 digits."),
    ],
)
def test_says_what_is_no_prefix(prefix: str, words: str) -> None:
    [wrong] = read(f"prefix,price_per_minute\n{prefix},0.1\n").wrong

    assert words in wrong.words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "plain",
            {
                "44": ["United Kingdom", Decimal("0.12"), Decimal("0.05"), 60, 6],
                "33": ["France", Decimal("0.1"), Decimal(0), 1, 1],
            },
        ),
        (
            "all_numbers",
            {
                "44": ["UK", Decimal("0.12"), Decimal(0), 1, 1],
                "": ["Everything else", Decimal("5.55"), Decimal(0), 1, 1],
            },
        ),
        ("zeros_behind_six_decimals", {"33": ["France", Decimal("0.018"), Decimal("0.05"), 1, 1]}),
        ("empty_rows_at_the_end", {"33": ["France", Decimal("0.01"), Decimal(0), 1, 1]}),
        (
            "destinations_of_a_formula",
            {
                "1": ["+1 North America", Decimal("0.01"), Decimal(0), 1, 1],
                "7": ["-other", Decimal("0.02"), Decimal(0), 1, 1],
            },
        ),
    ],
)
def test_reads_what_the_file_says(name: str, expected: dict[str, list[Any]]) -> None:
    deck = reading.read((FOLDER / f"{name}.csv").read_bytes())

    assert deck.wrong == []
    assert {key.prefix: row.terms for key, row in deck.rows.items()} == {
        prefix: [*terms, None] for prefix, terms in expected.items()
    }


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("columns_nobody_reads", ["Connect Cost", "Initial Increment", "Increment"]),
        ("from_a_later_day", ["effective_date"]),
    ],
)
def test_refuses_columns_that_mean_money_and_are_not_read(name: str, columns: list[str]) -> None:
    with pytest.raises(UnreadableDeck) as refused:
        reading.read((FOLDER / f"{name}.csv").read_bytes())

    assert "Line 1" in str(refused.value)
    assert ", ".join(columns) in str(refused.value)


@pytest.mark.parametrize(
    "column",
    [
        *("currency", "Rate/min", "EffectiveDate", "Setup Fee", "Währung", "Gültig ab"),
        *("Min. seconds", "InitialIncrement", "initblock", "disconnectcharge", "buyrate"),
        *("stopdate", "GroupInterval", "Off-peak", "Weekend", "Pulse", "Step", "Begins", "Active"),
    ],
)
def test_knows_columns_of_prices(column: str) -> None:
    with pytest.raises(UnreadableDeck, match="about money"):
        read(f"prefix,price_per_minute,{column}\n44,0.1,1\n")


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "he"])
@pytest.mark.parametrize("name", [*MONEY, "initial_increment", "subsequent_increment", VALID_FROM])
def test_knows_what_the_pages_call_the_columns_of_prices(language: str, name: str) -> None:
    with translation.override(language):
        column = str(Rate._meta.get_field(name).verbose_name)

    with pytest.raises(UnreadableDeck, match="about money"):
        read(f"prefix,price_per_minute,{column}\n44,0.1,1\n")


@pytest.mark.parametrize("column", ["Country", "Opérateur", "Vendor", "Last updated", "Admin"])
def test_names_other_columns_that_are_not_read(column: str) -> None:
    assert read(f"prefix,{column},price_per_minute,\n44,x,0.1,\n").unread == (column,)
    assert read("prefix,,price_per_minute\n44,x,0.1\n").unread == ("column 2",)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *(("Status", "Blocked"), ("Action", " DELETE "), ("prefix_status", "Closed (fraud)")),
        *(("Change", "to be deleted"), ("Deleted", "yes"), ("Disabled", "1")),
        *(("Estado", "bloqueado"), ("Statut", "supprimé"), ("Aktion", "löschen")),
        *(("Status", "Blocked by the carrier"), ("Action", "Cancel"), ("Status", "Deactivated")),
        *(("Deleted", "Y"), ("Deleted", "2026-12-01"), ("Gelöscht", "ja"), ("Blocked", "x")),
    ],
)
def test_refuses_a_row_that_is_blocked_or_deleted(column: str, cell: str) -> None:
    deck = read(f"prefix,{column},price_per_minute\n33,,0.1\n44,{cell},0.1\n")

    [wrong] = deck.wrong
    assert wrong.line == 3
    assert f"{column}: “{cell.strip()}” is not imported" in wrong.words


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *(("Status", "Active"), ("Action", "Increase"), ("Change", "unchanged"), ("Deleted", "0")),
        *(("Comment", "blocked"), ("City", "Closed Bay"), ("Status", "1"), ("Deleted", "")),
        *(
            ("Status", "Not blocked"),
            ("Status", "no longer blocked"),
            ("Previous status", "Closed"),
        ),
        *(("Blocked", "No"), ("Gelöscht", "nein"), ("Blocked", "-")),
    ],
)
def test_reads_a_row_that_is_neither_blocked_nor_deleted(column: str, cell: str) -> None:
    deck = read(f"prefix,{column},price_per_minute\n44,{cell},0.1\n")

    assert terms(deck, "44")[1] == Decimal("0.1")
    assert deck.unread == (column,)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("prefix;destination;price_per_minute\n44;UK, mobile;0,125\n", Dialect.SEMICOLONS),
        ("prefix;destination;price_per_minute\n44;UK, mobile;0.125\n", Dialect.MIXED),
        ('prefix,destination,price_per_minute\r\n44,"UK, mobile",0.125\r\n', Dialect.COMMAS),
    ],
)
def test_reads_the_declared_dialect_only(text: str, dialect: Dialect) -> None:
    assert terms(read(text, dialect), "44")[:2] == ["UK, mobile", Decimal("0.125")]
    for other in set(Dialect) - {dialect}:
        try:
            assert read(text, other).wrong
        except UnreadableDeck:
            continue


@pytest.mark.parametrize(
    "price",
    ["1.234,5", "1,234.5", "1 000", "٣", "1_0", "NaN", "1e99", "0x1", "-", ".", "0.1234567"],
)
def test_a_number_has_one_meaning(price: str) -> None:
    for dialect in (Dialect.SEMICOLONS, Dialect.MIXED):
        deck = read(f"prefix;price_per_minute\n44;{price}\n", dialect)

        assert [wrong.line for wrong in deck.wrong] == [2]


@pytest.mark.parametrize(("price", "value"), [("1E-05", "0.00001"), (" +.5 ", "0.5"), ("2.", "2")])
def test_reads_numbers_as_spreadsheets_write_them(price: str, value: str) -> None:
    deck = read(f"prefix,price_per_minute\n44,{price}\n")

    assert terms(deck, "44")[1] == Decimal(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + "44,UK,0,12,0,1,1\n33,F,0.1,0,1,1\n34,S,0,1,0,1,1\n", "Lines 2, 4 do not have"),
        (HEADER + "44,UK,0.12\n", "Line 2 does not have as many columns"),
        (HEADER + '44,"UK,0.12,0,1,1\n33,F,0.1,0,1,1\n', "Line 2 cannot be read as CSV"),
        ("\n\nprefix,price\n44,1\n", "Line 3: the header has no column price_per_minute"),
        (",,,\n,,\n", "no rows"),
    ],
)
def test_refuses_a_file_whose_columns_are_not_even(text: str, words: str) -> None:
    with pytest.raises(UnreadableDeck, match=words):
        read(text)


def test_line_numbers_are_those_of_an_editor() -> None:
    deck = read(HEADER + '44,"UK\nmobile",0.1,0,1,1\r\n\r\n4x,,0.1,0,1,1\r33,,bad,bad,1,1')

    assert [wrong.line for wrong in deck.wrong] == [5, 6]
    assert deck.wrong[1].words.count("“bad” is not a number.") == 2


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=100))
def test_any_destination_survives_an_export(destination: str) -> None:
    file = io.StringIO(newline="")
    cells = ["44", destination, Decimal("0.125"), Decimal("0"), 1, 1]
    csv.writer(file).writerow([csv_export.cell(cell) for cell in cells])

    exported = file.getvalue()

    assert terms(read(HEADER + exported), "44")[0] == destination
    assert not exported.split(",")[1].strip('" ').startswith(csv_export.FORMULA)


def test_prices_beside_a_prefix_tell_outliers() -> None:
    prices = {f"44{last}": "0.10" for last in range(1, 8)}
    rates = {
        Key(False, prefix): comparison.Terms("", Decimal(price), Decimal(0), 1, 1)
        for prefix, price in {**prices, "444": "0.51", "445": "0.019", "446": "0.50"}.items()
    }
    new = [comparison.Change(key, None, value) for key, value in rates.items()]

    marks = comparison._marks(new, RatesByDay(rates))

    assert [mark.change.prefix for mark in marks] == ["444", "445"]
    assert "more than five times" in marks[0].reason
    assert "less than a fifth" in marks[1].reason
