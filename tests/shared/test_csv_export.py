"""CSV files are streamed, and contain no formulas."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone, translation
from django.utils.functional import lazystr

from django_poketalk.models import CallRequest
from django_poketalk.shared import csv_export


def sent(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


def read(text: str) -> list[list[str]]:
    return list(csv.reader(text.removeprefix("\ufeff").splitlines()))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+A1",
        "-A1",
        "+1+A1",
        "+1|A",
        "-1 A1",
        "+1\n=1",
        "@SUM(A1)",
        "＝1+1",
        "＋1",
        "－1",
        "＠SUM(A1)",
        "\u3000＝1",
        "\t=1",
        "\r=1",
        " =1",
        "\n=1",
        "\u00a0=1",
        "=cmd|' /C calc'!A1",
    ],
)
def test_text_never_becomes_a_formula(text: str) -> None:
    assert csv_export.cell(lazystr(text)) == f"'{text}"
    assert csv_export.cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (-5, "-5"),
        (Decimal("-0.000001"), "-0.000001"),
        (Decimal("0E-6"), "0.000000"),
        ("+442079460123", "+442079460123"),
        ("+44 20 7946 0123", "+44 20 7946 0123"),
        ("-1.50", "-1.50"),
        ("a=b", "a=b"),
        ("a\0b", "ab"),
        ("", ""),
    ],
)
def test_other_values_are_unchanged(value: Any, written: str) -> None:
    assert csv_export.cell(value) == written


def test_the_file_round_trips() -> None:
    rows = [['Zoë; "Bob", & co\nLtd', 1], ["אבג", None]]

    response = csv_export.stream("calls.csv", ["name", "n"], rows)
    text = sent(response)

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="calls.csv"'
    assert text.startswith("\ufeffname,n\r\n")
    lines = csv.reader(iter(text.removeprefix("\ufeff").splitlines(keepends=True)))
    assert list(lines)[1:] == [['Zoë; "Bob", & co\nLtd', "1"], ["אבג", ""]]


def test_rows_are_read_while_the_file_is_sent() -> None:
    read_so_far: list[int] = []

    def rows() -> Iterator[list[int]]:
        for number in range(10 * csv_export.LINES):
            read_so_far.append(number)
            yield [number]

    chunks = iter(csv_export.stream("x.csv", ["n"], rows()).streaming_content)
    assert read_so_far == []
    next(chunks), next(chunks)
    assert len(read_so_far) == csv_export.LINES


def test_the_file_is_in_the_language_and_time_zone_of_the_view() -> None:
    def rows() -> Iterator[list[Any]]:
        yield [translation.get_language(), timezone.get_current_timezone_name()]

    with translation.override("fr"), timezone.override("Asia/Tokyo"):
        response = csv_export.stream("x.csv", [], rows())

    assert "fr,Asia/Tokyo" in sent(response)
    assert translation.get_language() != "fr"


def test_a_hostile_file_name_is_escaped() -> None:
    response = csv_export.stream('a"; filename="evil.exe\r\nX: 1', [], [])

    assert response["Content-Disposition"].count('"') == 2
    assert "\r" not in response["Content-Disposition"]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9, 10])
def test_batches_return_all_rows_once_newest_first(
    count: int, db: None, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(csv_export, "BATCH", 5)
    later = timezone.now() + timedelta(minutes=1)
    CallRequest.objects.bulk_create(
        CallRequest(max_duration=60, expires_at=later) for _ in range(count)
    )

    with django_assert_num_queries(count // 5 + 1):
        batches = list(csv_export.batches(CallRequest.objects.order_by("created_at")))

    keys = [row.pk for batch in batches for row in batch]
    assert keys == sorted(CallRequest.objects.values_list("pk", flat=True), reverse=True)
    assert all(len(batch) <= 5 for batch in batches)
