"""Parses bulk input: one number or prefix per line, with an optional reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..models.numbers import REASON_LENGTH
from ..protocol import numbers
from ..shared.number_errors import explain

MOST_LINES = 5000
_REASON = re.compile(r"[,;\t]")
_QUOTES = "\"' "


@dataclass(frozen=True, slots=True)
class Line:
    """A parsed line: an E.164 number, or a prefix if `is_prefix`. `at` is its line number, from 1.
    `repeats` is the line number of an earlier line with the same number, or None.
    """

    at: int
    number: str
    is_prefix: bool
    reason: str
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """An invalid line as it was `written`, and the reason for people."""

    at: int
    written: str
    sentence: str


@dataclass(frozen=True, slots=True)
class BulkInput:
    """The lines of a text: valid lines, lines that repeat one of them, and invalid lines."""

    lines: tuple[Line, ...]
    repeated: tuple[Line, ...]
    problems: tuple[Problem, ...]


def parse(text: str, region: str | None) -> BulkInput:
    """Parse one number per line, in any usual format, or a prefix followed by `*`. A reason can
    follow after a comma, a semicolon or a tab. Extensions are ignored.

    Numbers without a country code are read as numbers of `region`. Empty lines, and lines that
    begin with `#`, are ignored.
    """
    lines: dict[tuple[str, bool], Line] = {}
    repeated: list[Line] = []
    problems: list[Problem] = []
    written = text.splitlines()
    if len(written) > MOST_LINES:
        too_many = _("You entered %(lines)d lines; you can add at most %(most)d at once.") % {
            "lines": len(written),
            "most": MOST_LINES,
        }
        return BulkInput((), (), (Problem(MOST_LINES + 1, "", too_many),))
    for at, line in enumerate(written, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            number, is_prefix, reason = _meaning(line, region)
        except ValueError as error:
            problems.append(Problem(at, line.strip()[:60], str(error)))
            continue
        first = lines.get((number, is_prefix))
        meant = Line(at, number, is_prefix, reason, first.at if first else None)
        if first:
            repeated.append(meant)
        else:
            lines[number, is_prefix] = meant
    return BulkInput(tuple(lines.values()), tuple(repeated), tuple(problems))


def _meaning(line: str, region: str | None) -> tuple[str, bool, str]:
    parts = _REASON.split(line, maxsplit=1)
    written, reason = parts[0].strip(_QUOTES), " ".join(parts[-1].strip(_QUOTES).split())
    if len(parts) == 1:
        reason = ""
    if len(reason) > REASON_LENGTH:
        raise ValueError(
            _("The reason has %(length)d characters; the maximum is %(most)d.")
            % {"length": len(reason), "most": REASON_LENGTH}
        )
    try:
        if written.endswith("*") and not written.endswith("**"):
            return numbers.normalize_prefix(written.removesuffix("*")), True, reason
        return numbers.read(written, region).e164, False, reason
    except numbers.InvalidNumber as error:
        raise ValueError(explain(error)) from None
