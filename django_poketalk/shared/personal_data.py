"""Phone numbers in the tables of both halves: masks them in texts, in small batches, and exports
the rows about one number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q

from django_poketalk.protocol import numbers

BATCH = 500  # rows that one statement changes
NUMBER_FIELDS = ("from_number", "to_number", "presented_number", "number")


class StillCalling(Exception):
    """The number cannot be erased: calls with it have not ended. `calls` are some of their keys."""

    def __init__(self, calls: Collection[int]) -> None:
        super().__init__(f"Calls with this number have not ended: {', '.join(map(str, calls))}.")
        self.calls = calls


@dataclass(frozen=True)
class Erasure:
    """How many rows were erased or masked, and how many were kept, by table."""

    erased: dict[str, int]
    kept: dict[str, int]

    def __str__(self) -> str:
        return ", ".join(f"{name}: {count}" for name, count in self.erased.items() if count) or "-"


def batches(keys: models.QuerySet[Any]) -> Iterator[list[int]]:
    """The primary keys of the rows, in batches. Each is a query of its own."""
    after = 0
    while batch := list(
        keys.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:BATCH]
    ):
        yield batch
        after = batch[-1]


def mask_texts(rows: models.QuerySet[Any], *fields: str, holding: str = "") -> int:
    """Mask the phone numbers in these text columns. Returns how many rows had one.

    `holding` (of `numbers.pattern_within`) limits it to texts with this number, however written.
    """
    found = Q()
    for field in fields:
        found |= Q(**{f"{field}__regex": holding or numbers.MAYBE_WITHIN})
    manager, masked_rows = rows.model._base_manager, 0
    for batch in batches(rows.filter(found)):
        for pk, *texts in manager.filter(pk__in=batch).values_list("pk", *fields):
            masked = [
                numbers.mask_in_records(text, holding)[
                    : rows.model._meta.get_field(field).max_length
                ]
                for field, text in zip(fields, texts, strict=True)
            ]
            if masked != texts:
                changes = dict(zip(fields, masked, strict=True))
                masked_rows += manager.filter(pk=pk).update(**changes)
    return masked_rows


def mask_json(value: Any, holding: str = "") -> Any:
    """A value of a JSON column, with the phone numbers in its texts masked as by `mask_texts`. An
    integer that may be one becomes a masked text.
    """
    if isinstance(value, str) or _is_whole(value):
        text = value if isinstance(value, str) else str(int(value))
        is_meant = not holding or re.search(holding, text)
        masked = numbers.mask_in_records(text, holding) if is_meant else text
        return value if masked == text else masked
    if isinstance(value, dict):
        return {mask_json(key, holding): mask_json(each, holding) for key, each in value.items()}
    if isinstance(value, list):
        return [mask_json(each, holding) for each in value]
    return value


def _is_whole(value: Any) -> bool:
    """Whether it is a number of JSON without a fraction: 442079460123 or 4.4207946e11."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and value == value // 1


def mask_history(app_label: str, before: datetime | None = None, holding: str = "") -> int:
    """Mask the phone numbers in the admin's history of an app's models. Returns how many entries
    had one.
    """
    if not apps.is_installed("django.contrib.admin"):
        return 0
    from django.contrib.admin.models import LogEntry

    entries = LogEntry.objects.filter(content_type__app_label=app_label)
    if before is not None:
        entries = entries.filter(action_time__lt=before)
    return mask_texts(entries, "object_repr", "change_message", holding=holding)


def record(model: type[models.Model], message: str, user: Any) -> None:
    """Write what was done to the rows of a model into the admin's history."""
    if user is None or not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.models import CHANGE, LogEntry

    LogEntry.objects.create(
        user_id=user.pk,
        content_type_id=ContentType.objects.get_for_model(model).pk,
        object_repr=str(model._meta.verbose_name_plural)[:200],
        action_flag=CHANGE,
        change_message=message,
    )


def table(rows: models.QuerySet[Any], number: str, leave_out: Collection[str] = ()) -> Any:
    """The rows for an export: a dict of `name`, `fields` (by column: `name`, `help`, `choices`) and
    `rows`. Other numbers than this one are masked, and so are all numbers in texts.
    """
    fields = [
        each
        for each in rows.model._meta.concrete_fields
        if each.name not in leave_out and not each.generated
    ]
    return {
        "name": str(rows.model._meta.verbose_name_plural),
        "fields": {each.name: _meaning(each) for each in fields},
        "rows": [
            {each.name: _exported(each, row[each.attname], number) for each in fields}
            for row in rows.order_by("pk").values(*(each.attname for each in fields))
        ],
    }


def _meaning(field: Any) -> dict[str, Any]:
    choices = {str(value): str(label) for value, label in field.flatchoices}
    facts = {"name": str(field.verbose_name), "help": str(field.help_text), "choices": choices}
    return {key: value for key, value in facts.items() if value}


def _exported(field: Any, value: Any, number: str) -> Any:
    if isinstance(field, models.JSONField):
        return mask_json(value)
    if not isinstance(value, str):
        return value
    if field.name in NUMBER_FIELDS:
        return value if numbers.wire(value) == numbers.wire(number) else numbers.mask(value)
    return numbers.mask_in_records(value)
