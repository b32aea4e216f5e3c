"""The paginator of lists with very many rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from django_poketalk.shared import changelist
from django_poketalk.shared.changelist import AtLeast, BoundedPaginator, ScanPaginator


@pytest.fixture
def names(db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fourteen rows, of which nine are counted."""
    monkeypatch.setattr(changelist, "MOST_COUNTED", 9)
    Group.objects.bulk_create(Group(name=f"{number:02}") for number in range(1, 15))
    return Group.objects.order_by("name").values_list("name", flat=True)


@pytest.mark.parametrize(("start", "number"), [(0, 1), (0, 2), (3, 1), (3, 2), (12, 5), (3, 4)])
def test_a_page_has_its_rows_for_any_window(names: Any, start: int, number: int) -> None:
    paginator = BoundedPaginator(names, 3)
    paginator.start, paginator.size = start, 3

    assert list(paginator.page(number)) == list(names)[number * 3 - 3 : number * 3]


def test_the_requested_page_is_read_once(names: Any, django_assert_num_queries: Any) -> None:
    paginator = BoundedPaginator(names, 3)
    paginator.start, paginator.size = 12, 3

    with django_assert_num_queries(1):
        assert paginator.count == 14
        assert list(paginator.page(5)) == ["13", "14"]


def test_without_a_window_rows_are_counted_up_to_the_limit(names: Any) -> None:
    assert str(BoundedPaginator(names, 3).count) == "9+"
    assert BoundedPaginator(names.filter(name__lt="05"), 3).count == 4


@pytest.fixture
def groups(names: Any) -> Any:
    """The same rows as models."""
    return Group.objects.order_by("-name")


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_pages_far_behind_have_the_same_rows_by_their_keys(
    groups: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(changelist, "DEEP", 6)
    paginator = BoundedPaginator(groups, 3)
    paginator.look_at(number)

    assert list(paginator.page(number)) == list(groups)[number * 3 - 3 : number * 3]


@pytest.mark.parametrize(
    ("most", "count"), [(20, 14), (14, 14), (13, AtLeast(13)), (6, AtLeast(6))]
)
def test_a_scan_reads_the_rows_once_and_tells_how_many_there_are(
    groups: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: Any,
    most: int,
    count: int,
) -> None:
    monkeypatch.setattr(changelist, "MOST_SCANNED", most)
    paginator = ScanPaginator(groups, 3)
    paginator.look_at(2)
    expected = list(groups)[3:6]

    with django_assert_num_queries(2):  # keys, rows
        assert str(paginator.count) == str(count)
        assert list(paginator.page(2)) == expected


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_pages_behind_the_scan_go_on(
    groups: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(changelist, "MOST_SCANNED", 7)
    paginator = ScanPaginator(groups, 3)
    paginator.look_at(number)

    assert list(paginator.page(number)) == list(groups)[number * 3 - 3 : number * 3]
