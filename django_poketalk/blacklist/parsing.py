"""Parses bulk input: one number or prefix per line, with an optional reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

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
    `extension` was behind the number, and is ignored. `repeats` is the line number of an earlier
    line with the same number, or None.
    """

    at: int
    number: str
    is_prefix: bool
    reason: str
    extension: str = ""
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
    follow after a comma, a semicolon or a tab. Digits without letters are no reason: they may be
    the rest of the number, its extension, or another number. Extensions are ignored.

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
        plain = numbers.clean(line)
        if not plain or plain.startswith("#"):
            continue
        try:
            meant = _meaning(at, line, region)
        except ValueError as error:
            problems.append(Problem(at, line.strip()[:60], str(error)))
            continue
        first = lines.setdefault((meant.number, meant.is_prefix), meant)
        if first is not meant:
            repeated.append(replace(meant, repeats=first.at))
    return BulkInput(tuple(lines.values()), tuple(repeated), tuple(problems))


def _meaning(at: int, line: str, region: str | None) -> Line:
    written, mark, reason = _parts(line)
    if len(reason) > REASON_LENGTH:
        raise ValueError(
            _("The reason has %(length)d characters; the maximum is %(most)d.")
            % {"length": len(reason), "most": REASON_LENGTH}
        )
    try:
        if numbers.has_digits(numbers.clean(reason)):
            try:
                reading = numbers.read(written + mark + reason, region)
                return Line(at, reading.e164, False, "", reading.extension)
            except numbers.InvalidNumber as error:
                is_text = any(map(str.isalpha, reason))
                if not is_text or error.reason == numbers.Reason.DECIMAL:
                    raise
        if written.endswith("*") and not written.endswith("**"):
            prefix = numbers.normalize_prefix(written.removesuffix("*"))
            return Line(at, prefix, True, reason)
        reading = numbers.read(written, region)
        return Line(at, reading.e164, False, reason, reading.extension)
    except numbers.InvalidNumber as error:
        raise ValueError(explain(error)) from None


def _parts(line: str) -> tuple[str, str, str]:
    """What is written before the first separator, the separator, and the reason behind it. A tab
    stands between two cells: digits on both sides of it are no single number.
    """
    found = _REASON.search(line)
    if found is None:
        return line.strip(_QUOTES), "", ""
    reason = " ".join(line[found.end() :].strip(_QUOTES).split())
    return line[: found.start()].strip(_QUOTES), found[0].replace("\t", ";"), reason
