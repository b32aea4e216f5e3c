"""Reads a file into the rows of a deck, without a query.

Lines are numbered from 1, as in a text editor. Blank rows are skipped.
"""

from __future__ import annotations

import csv
import enum
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...models import ALWAYS
from .columns import (
    COLUMNS,
    INTERNAL,
    MAX_TEXT,
    PREFIX,
    REQUIRED,
    TERMS,
    VALID_FROM,
    Key,
    WrongCell,
    cell_reader,
    read_day,
    read_flag,
    read_prefix,
)
from .unread_columns import is_withdrawn, means_money, means_status

MAX_ROWS = 50_000
MAX_NAMED = 10  # lines in one message


class UnreadableDeck(ValueError):
    """The file is not a rate deck. The message says why."""


class Dialect(enum.Enum):
    """How a file separates columns, and writes decimals."""

    COMMAS = ",", ".", gettext_lazy("commas between columns, decimal points (0.25)")
    SEMICOLONS = ";", ",", gettext_lazy("semicolons between columns, decimal commas (0,25)")
    MIXED = ";", ".", gettext_lazy("semicolons between columns, decimal points (0.25)")

    @property
    def delimiter(self) -> str:
        """Separates columns."""
        return self.value[0]

    @property
    def decimal(self) -> str:
        """Separates decimals."""
        return self.value[1]

    @property
    def label(self) -> str:
        """The dialect in words."""
        return str(self.value[2])


class Row(NamedTuple):
    """One line of the file. `terms` are the values of the columns in `Terms`, None for those that
    the file does not have.
    """

    line: int
    terms: list[Any]


class Wrong(NamedTuple):
    """What is wrong with a line, in words."""

    line: int
    words: str


@dataclass(frozen=True, slots=True)
class Deck:
    """The rows of a file by prefix and first day, and the lines that cannot be read."""

    digest: str  # tells the file from any other
    columns: tuple[str, ...]
    unread: tuple[str, ...] = ()  # names of columns that mean nothing here
    rows: dict[Key, Row] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)

    def from_day(self, day: date) -> Deck:
        """The same with this first day for all rows without one."""
        if day == ALWAYS:
            return self
        deck = replace(self, rows={}, wrong=[*self.wrong])
        for key, row in self.rows.items():
            is_undated = key.valid_from == ALWAYS
            deck.add(Key(key.is_internal, key.prefix, day) if is_undated else key, row)
        return deck

    def add(self, key: Key, row: Row) -> None:
        """Add a row, unless the deck has one for the same."""
        if (first := self.rows.setdefault(key, row)) is not row:
            words = _("This prefix is in the file twice: see line %d.") % first.line
            self.wrong.append(Wrong(row.line, f"{PREFIX}: {words}"))


def read(data: bytes, dialect: Dialect = Dialect.COMMAS) -> Deck:
    """The deck in a file. `UnreadableDeck` for a file that is not UTF-8 or CSV, or has too many
    rows, or whose header lacks one of the columns `REQUIRED` or names a price that is not read.
    """
    lines = _lines(_text(data), dialect)
    try:
        number, header = next(lines)
    except StopIteration:
        raise UnreadableDeck(_("The file has no rows.")) from None
    while not header[-1].strip():
        header.pop()
    positions = _positions(header, number)
    others = {
        position: " ".join(name.split())
        for position, name in enumerate(header)
        if _name(name) not in COLUMNS
    }
    deck = Deck(
        digest=hashlib.sha256(data).hexdigest(),
        columns=tuple(name for name in COLUMNS if name in positions),
        unread=tuple(name or _("column %d") % (at + 1) for at, name in others.items()),
    )
    status = {position: name for position, name in others.items() if means_status(name)}
    _read_rows(deck, _even(lines, len(header)), positions, status, dialect)
    if not deck.rows and not deck.wrong:
        raise UnreadableDeck(_("The file has no rows."))
    return deck


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig").lstrip("\ufeff")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # which PostgreSQL cannot store
        words = _("The file is not a CSV file in UTF-8. Spreadsheets can save it as one.")
        raise UnreadableDeck(words)
    return text


def _lines(text: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The rows that have any cell, with the number of the line where each begins."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True)
    line = 1
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                yield line, row
            line = rows.line_num + 1
    except csv.Error as error:
        words = _("Line %d cannot be read as CSV. Check its quotation marks.") % line
        raise UnreadableDeck(words) from error


def _positions(header: list[str], line: int) -> dict[str, int]:
    """Where each column that is read stands."""
    names = [_name(name) for name in header]
    if twice := {name for name in names if name and names.count(name) > 1}:
        named = ", ".join(sorted(twice))
        raise UnreadableDeck(_("The header names a column twice: %s.") % named)
    if missing := [name for name in REQUIRED if name not in names]:
        raise UnreadableDeck(
            _("Line %(line)d: the header has no column %(names)s. Are columns separated as chosen?")
            % {"line": line, "names": ", ".join(missing)}
        )
    if money := [name.strip() for name in header if means_money(_name(name))]:
        raise UnreadableDeck(
            _(
                "Line %(line)d: these columns are not read, but their names are about money:"
                " %(names)s. Rename each to one of the columns that are read, or remove it."
            )
            % {"line": line, "names": ", ".join(money)}
        )
    return {name: position for position, name in enumerate(names) if name in COLUMNS}


def _name(text: str) -> str:
    return text.strip().lower()


def _even(lines: Iterator[tuple[int, list[str]]], width: int) -> Iterator[tuple[int, list[str]]]:
    """The rows, each as wide as the header. Empty cells behind it do not matter."""
    uneven = []
    for count, (line, row) in enumerate(lines, start=1):
        if count > MAX_ROWS:
            raise UnreadableDeck(_("A deck has at most %d rows.") % MAX_ROWS)
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            uneven.append(line)
        else:
            yield line, row
    if uneven:
        named = ", ".join(map(str, uneven[:MAX_NAMED])) + (", …" if uneven[MAX_NAMED:] else "")
        words = ngettext(
            "Line %(lines)s does not have as many columns as the header. Is a comma in a number?",
            "Lines %(lines)s do not have as many columns as the header. Are commas in numbers?",
            len(uneven),
        )
        raise UnreadableDeck(words % {"lines": named})


def _read_rows(
    deck: Deck,
    lines: Iterator[tuple[int, list[str]]],
    positions: dict[str, int],
    status: dict[int, str],
    dialect: Dialect,
) -> None:
    """Fill the deck with the rows, and with what is wrong with the others. `status`: the columns
    that may say that a prefix is withdrawn.
    """
    readers = {name: cell_reader(name, dialect.decimal) for name in TERMS if name in positions}
    places = [(name, positions.get(name)) for name in TERMS]
    prefix_at, internal_at = positions[PREFIX], positions.get(INTERNAL)
    day_at = positions.get(VALID_FROM)
    for line, row in lines:
        errors: list[str] = []
        terms: list[Any] = []
        for name, place in places:
            try:
                terms.append(None if place is None else readers[name](row[place]))
            except WrongCell as error:
                errors.append(f"{name}: {error}")
        try:
            is_internal = internal_at is not None and read_flag(row[internal_at])
            day = ALWAYS if day_at is None else read_day(row[day_at])
            key = Key(is_internal, read_prefix(row[prefix_at], is_internal=is_internal), day)
        except WrongCell as error:
            errors.insert(0, f"{error.column}: {error}")
        for place, name in status.items():
            if is_withdrawn(row[place], name):
                words = _("“%s” is not imported: a row can only add or change a rate. Remove it.")
                errors.append(f"{name}: {words % row[place].strip()[:MAX_TEXT]}")
        if errors:
            deck.wrong.append(Wrong(line, " ".join(errors)))
            continue
        deck.add(key, Row(line, terms))
