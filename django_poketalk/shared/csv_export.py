"""CSV files for spreadsheets, streamed, so that a million rows need little memory."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import tzinfo
from decimal import Decimal
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.text import get_valid_filename
from django.utils.translation import get_language, override

from .personal_data import record

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # without it, Excel does not expect UTF-8
# Some spreadsheets read the full-width forms, which East Asian keyboards write, as the same signs.
PLAIN = re.compile(r"[+-]?[0-9•]+(?:[ .,][0-9•]+)*")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")
LINES = 500  # sent at once
BATCH = 2000  # rows read at once


class _Line:
    """A file for `csv.writer` that returns each line."""

    def write(self, line: str) -> str:
        return line


class _Response(StreamingHttpResponse):
    """Streams under ASGI too, where Django would first read all rows from a normal iterator."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        parts = iter(self.streaming_content)  # type: ignore[arg-type]
        read = sync_to_async(lambda: next(parts, None))
        while (part := await read()) is not None:
            yield part


def stream(
    filename: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """The rows as a CSV file to download: UTF-8 with a byte order mark, commas, CRLF.

    Cells are text, numbers, dates or None (empty). An apostrophe is prepended to text that a
    spreadsheet would run as a formula, but not to numbers, also of phones: digits with a sign in
    front refer to no cell and call no function, and a program that reads the file needs them as
    they are. `rows` is read while the file is sent,
    after the view has returned and its transaction has ended, in the view's language and time zone.
    """
    language, zone = get_language() or "en", timezone.get_current_timezone()
    return _Response(
        lines(header, rows, language, zone),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{get_valid_filename(filename)}"',
            "Cache-Control": "no-store",
        },
    )


def cell(value: Any) -> str:
    """The text of a cell, safe for spreadsheets."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value).replace("\0", "")  # some programs stop reading at a NUL
    return f"'{text}" if _is_formula(text.lstrip("'")) else text


def text_of(cell: str) -> str:
    """The text that `cell` wrote so."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell.lstrip("'")) else cell


def _is_formula(text: str) -> bool:
    if PLAIN.fullmatch(text):
        return False
    return text.startswith(FORMULA) or text.lstrip().startswith(FORMULA)


def batches(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """The rows in batches, newest first. Each batch is a query of its own, by primary key, so that
    no database cursor stays open.
    """
    rows = rows.order_by("-pk")
    batch = list(rows[:BATCH])
    while batch:
        yield batch
        batch = list(rows.filter(pk__lt=batch[-1].pk)[:BATCH]) if len(batch) == BATCH else []


def log(request: HttpRequest, model: type[Model], message: str) -> None:
    """Log an export of this model's rows to the admin's history."""
    record(model, message, request.user)


def lines(
    header: Sequence[Any], rows: Iterable[Sequence[Any]], language: str, zone: tzinfo
) -> Iterator[str]:
    """The file in parts. `rows` is read in this language and time zone: for a response, after the
    view has returned.
    """
    writer = csv.writer(_Line())
    waiting = iter(rows)
    part: list[Any] = [BYTE_ORDER_MARK, writer.writerow([cell(title) for title in header])]
    while part:
        yield "".join(part)
        with override(language), timezone.override(zone):
            part = [
                writer.writerow([cell(value) for value in row]) for row in islice(waiting, LINES)
            ]
