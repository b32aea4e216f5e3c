"""What the other side has sent, as logs and columns take it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from django_poketalk.shared.text import on_one_line


@given(st.text())
@example("00 OK\0\r\nCall\t1\x1b[31m\u2028")
def test_whatever_was_sent_prints_on_one_line_and_is_as_long(text: str) -> None:
    line = on_one_line(text)

    assert line.isprintable()
    assert len(line) == len(text)
    assert all(kept in (sent, " ") for kept, sent in zip(line, text, strict=True))


@given(st.text())
def test_what_prints_is_left_alone(text: str) -> None:
    printable = "".join(filter(str.isprintable, text))

    assert on_one_line(printable) == printable
