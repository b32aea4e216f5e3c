"""Whether a text holds more than one phone number."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

_JOINTS = re.compile(
    r"""
    [;|&,~\n\r]|或|和|または|또는|หรือ
    |(?<![^\W_])(?:
        or|and|to
        |und|oder|bzw\.?|u\.|od\.|bis
        |ou|et|y|o|e|en|of|og|och|eller|tai|ja
        |i|a|lub|albo|oraz|nebo|alebo|ali|ili|vagy|és|sau|și|si
        |ve|veya|ή|και|или|и|або|та|או|ו|أو|و|یا
        |dan|atau|hoặc|và
    )(?![^\W_])
    """,
    re.IGNORECASE | re.VERBOSE,
)
_OTHER_THAN_NUMBER = re.compile(r"[^0-9+ \-.()\[\]/]+")
_NOT_DIGIT = re.compile(r"[^0-9]")
_MAYBE_BEHIND = re.compile(r"[-/]| (?=0[0-9 ]{6})")  # what may stand between two numbers
_DIGIT = re.compile(r"[0-9]")
_WHOLE = 7  # digits on both sides of any words, that make them two numbers


def holds_several(written: str) -> bool:
    """Whether digits stand on both sides of a word or mark that joins two numbers, whole numbers on
    both sides of any words, or the beginning of a number is repeated.
    """
    if sum(bool(_DIGIT.search(part)) for part in _JOINTS.split(written)) > 1:
        return True
    parts = _OTHER_THAN_NUMBER.split(written)
    if sum(len(_DIGIT.findall(part)) >= _WHOLE for part in parts) > 1:
        return True
    groups = re.findall(r"\+?[0-9]+", written)
    return len(groups) > 3 and groups[0][0] in "+0" and groups[0] in groups[2:]


def is_split_by_stroke(
    plain: str, number: phonenumbers.PhoneNumber, is_international: bool
) -> bool:
    """Whether a "/" stands elsewhere than right behind the area code, as in `069/90009123`."""
    if "/" not in plain:
        return False
    head, _stroke, rest = plain.partition("/")
    digits = _NOT_DIGIT.sub("", head)
    if is_international:
        digits = digits.removeprefix(str(number.country_code))
    area = len(digits.lstrip("0"))
    return "/" in rest or area != phonenumbers.length_of_national_destination_code(number)


def starts(written: str) -> Iterator[str]:
    """What stands before each mark between digits that another number may follow."""
    for mark in _MAYBE_BEHIND.finditer(written):
        start, end = written[: mark.start()], written[mark.end() :]
        if _DIGIT.search(start) and _DIGIT.search(end):
            yield start
