"""CSV for people's spreadsheets, sent as it is made, so that a million rows need no memory."""

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

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # or Excel takes UTF-8 for something else
FORMULA = ("=", "+", "-", "@", "\t", "\r")
LINES = 500  # sent at once
BATCH = 2000  # rows read at once


class _Line:
    """What a CSV writer writes to: gives each line back."""

    def write(self, line: str) -> str:
        return line


def stream(
    filename: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """The rows as a CSV file to download: UTF-8 with a byte order mark, commas, CRLF.

    Cells are text, numbers, dates or None (empty). Text that a spreadsheet would take for a formula
    gets an apostrophe before it; numbers do not. `rows` is read while the file is sent, after the
    view has returned and its transaction is over, in the view's language and time zone.
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
    """What is written for a value: text is made safe for spreadsheets."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value).replace("\0", "")  # which ends the file for some
    is_formula = text.startswith(FORMULA) or text.lstrip().startswith(FORMULA)
    return f"'{text}" if is_formula else text


def batches(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """The rows, newest first, some at a time: by the primary key, so that no cursor is held and no
    database keeps all of them for us.
    """
    rows = rows.order_by("-pk")
    batch = list(rows[:BATCH])
    while batch:
        yield batch
        batch = list(rows.filter(pk__lt=batch[-1].pk)[:BATCH]) if len(batch) == BATCH else []


def log(request: HttpRequest, model: type[Model], message: str) -> None:
    """Leave in the history who has taken rows of this model out, and how many."""
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
    # Read after the view has returned, yet in its language and time zone.
    writer = csv.writer(_Line())
    waiting = iter(rows)
    lines: list[Any] = [BYTE_ORDER_MARK, writer.writerow([cell(title) for title in header])]
    while lines:
        yield "".join(lines)
        with override(language), timezone.override(zone):
            lines = [
                writer.writerow([cell(value) for value in row]) for row in islice(waiting, LINES)
            ]
