"""Text from the other side is made safe for logs and database columns."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_poketalk.shared.text import on_one_line, whole_number


@given(st.text())
@example("00 OK\0\r\nCall\t1\x1b[31m\u2028")
def test_any_text_becomes_one_printable_line_of_equal_length(text: str) -> None:
    line = on_one_line(text)

    assert line.isprintable()
    assert len(line) == len(text)
    assert all(kept in (sent, " ") for kept, sent in zip(line, text, strict=True))


@given(st.text())
def test_printable_text_is_unchanged(text: str) -> None:
    printable = "".join(filter(str.isprintable, text))

    assert on_one_line(printable) == printable


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("9" * 18, 10**18 - 1), ("9" * 19, None), ("", None), ("-1", None), ("١", None)],
)
def test_only_few_ascii_digits_are_a_number(text: str, number: int | None) -> None:
    assert whole_number(text) == number
