"""The tables of the page on phone numbers say what the code does."""

from __future__ import annotations

import re

import pytest

from django_poketalk.protocol import numbers

from . import tree

PAGE = (tree.ROOT / "docs" / "topics" / "numbers.md").read_text()
ACCEPTED = re.findall(r"^\| `(.+?)` \| (`..`|any|none) \| `(\+\d+)` \|$", PAGE, re.MULTILINE)
REFUSED = re.findall(
    r"^\| `([a-z_]+)` \| (?:`(.+?)`)? ?\| (`..`|any|none) \| .+ \|$", PAGE, re.MULTILINE
)


def region(cell: str) -> str | None:
    return cell.strip("`") if cell.startswith("`") else None


def normalize(reason: str, text: str, region: str | None) -> str:
    """Read a prefix if the reason is about prefixes, a whole number otherwise."""
    if reason == "prefix":
        return numbers.normalize_prefix(text)
    return numbers.normalize(text, region)


def test_the_tables_are_found() -> None:
    assert len(ACCEPTED) > 10
    assert {reason for reason, _text, _region in REFUSED} == {
        str(reason) for reason in numbers.Reason
    }


@pytest.mark.parametrize(("text", "cell", "e164"), ACCEPTED)
def test_an_accepted_text_is_read_as_the_page_says(text: str, cell: str, e164: str) -> None:
    assert numbers.read(text, region(cell)).e164 == e164
    if cell == "any":
        assert numbers.read(text, "US").e164 == e164


@pytest.mark.parametrize(("reason", "text", "cell"), REFUSED)
def test_a_refused_text_has_the_reason_that_the_page_says(
    reason: str, text: str, cell: str
) -> None:
    with pytest.raises(numbers.InvalidNumber) as error:
        normalize(reason, text, region(cell))

    assert error.value.reason == reason
