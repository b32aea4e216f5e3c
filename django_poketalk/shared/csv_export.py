"""CSV files for spreadsheets, streamed, so that a million rows need little memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from decimal import Decimal
from itertools import islice
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.text import get_valid_filename
from django.utils.translation import get_language, override

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # without it, Excel does not expect UTF-8
FORMULA = ("=", "+", "-", "@", "\t", "\r")
LINES = 500  # sent at once
BATCH = 2000  # rows read at once


class _Line:
    """A file for `csv.writer` that returns each line."""

    def write(self, line: str) -> str:
        return line


def stream(
    filename: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """The rows as a CSV file to download: UTF-8 with a byte order mark, commas, CRLF.

    Cells are text, numbers, dates or None (empty). An apostrophe is prepended to text that a
    spreadsheet would run as a formula, but not to numbers. `rows` is read while the file is sent,
    after the view has returned and its transaction has ended, in the view's language and time zone.
    """
    language, zone = get_language() or "en", timezone.get_current_timezone()
    return StreamingHttpResponse(
        _lines(header, rows, language, zone),
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
    is_formula = text.startswith(FORMULA) or text.lstrip().startswith(FORMULA)
    return f"'{text}" if is_formula else text


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
    user: Any = request.user
    LogEntry.objects.create(
        user_id=user.pk,
        content_type_id=ContentType.objects.get_for_model(model).pk,
        object_repr=str(model._meta.verbose_name_plural)[:200],
        action_flag=CHANGE,
        change_message=message,
    )


def _lines(
    header: Sequence[Any], rows: Iterable[Sequence[Any]], language: str, zone: tzinfo
) -> Iterator[str]:
    # This runs after the view has returned, so it activates the view's language and time zone.
    writer = csv.writer(_Line())
    waiting = iter(rows)
    lines: list[Any] = [BYTE_ORDER_MARK, writer.writerow([cell(title) for title in header])]
    while lines:
        yield "".join(lines)
        with override(language), timezone.override(zone):
            lines = [
                writer.writerow([cell(value) for value in row]) for row in islice(waiting, LINES)
            ]
