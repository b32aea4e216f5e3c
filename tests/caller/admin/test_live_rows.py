"""The live rows of the list of calls, which its script requests as JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.models import CallRequest

from ..people import connected, page, someone, staff

CALLS = "/admin/poketalk/callrequest/"
LIVE = f"{CALLS}live/"


@pytest.fixture
def watcher(db: None) -> Client:
    return staff("watcher", "view_callrequest")


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


def ask(client: Client, *calls: CallRequest | str, **headers: str) -> Any:
    keys = [str(getattr(call, "pk", call)) for call in calls]
    return client.get(LIVE, {"id": keys}, headers=headers)


def test_a_row_has_the_current_state_of_the_call(watcher: Client, call: CallRequest) -> None:
    connected(call, b_answered_at=timezone.now() - timedelta(seconds=75))

    row = ask(watcher, call).json()["rows"][str(call.pk)]

    assert row.pop("seconds") in (75, 76)
    assert row.pop("length") in ("1:15", "1:16")
    assert row == {
        "phase": "talking",
        "state": "Connected",
        "open": True,
        "why": "",
        "cost": "0.421",
        "news": "Call to +44 ••••••••23: Connected",
    }


def test_the_row_of_an_ended_call_does_not_change(watcher: Client, call: CallRequest) -> None:
    connected(call, status=8, ended_at=timezone.now())

    row = ask(watcher, call).json()["rows"][str(call.pk)]

    assert (row["open"], row["phase"], row["seconds"], row["length"]) == (
        False, "ended", None, "1:15",
    )  # fmt: skip


def test_the_page_marks_the_rows_to_update(
    watcher: Client, new_call: Callable[..., CallRequest]
) -> None:
    going_on = connected(new_call())
    over = connected(new_call(), ended_at=timezone.now())

    html = page(watcher.get(CALLS))

    assert f'data-poketalk-live="{LIVE}"' in html
    assert f'data-poketalk-call="{going_on.pk}" data-poketalk-open="yes"' in html
    assert f'data-poketalk-call="{over.pk}" data-poketalk-open="no"' in html
    assert '<script src="/static/poketalk/admin_calls.js" type="module"></script>' in html


def test_unchanged_rows_are_304(watcher: Client, call: CallRequest) -> None:
    connected(call)
    etag = ask(watcher, call)["ETag"]

    assert ask(watcher, call, if_none_match=etag).status_code == 304

    connected(call, cost="0.99")
    assert ask(watcher, call, if_none_match=etag).status_code == 200


@pytest.mark.parametrize("count", [1, 30])
def test_all_rows_share_one_query(
    count: int,
    boss: Client,
    new_call: Callable[..., CallRequest],
    django_assert_num_queries: Any,
) -> None:
    asker = someone("asker")
    calls = [
        connected(new_call(), hangup_requested_at=timezone.now(), hangup_requested_by=asker)
        for _ in range(count)
    ]

    with django_assert_num_queries(3):  # session, user; calls
        assert len(ask(boss, *calls).json()["rows"]) == count


@pytest.mark.parametrize("odd", ["", "x", "-1", "٣", "1" * 40, "1 OR 1=1", "\0"])
def test_invalid_keys_are_ignored(odd: str, watcher: Client, call: CallRequest) -> None:
    assert set(ask(watcher, odd, call).json()["rows"]) == {str(call.pk)}
    assert ask(watcher, odd).json() == {"rows": {}}


def test_rows_require_the_permission_to_see_the_list(call: CallRequest) -> None:
    assert ask(staff("clerk", "place_call"), call).status_code == 403
    assert ask(Client(), call).status_code == 302


def test_the_list_of_calls_in_progress_learns_of_new_ones(
    watcher: Client, new_call: Callable[..., CallRequest]
) -> None:
    first = connected(new_call())
    html = page(watcher.get(CALLS, {"outcome": "live"}))
    assert f'data-poketalk-newest="{first.pk}"' in html
    assert "data-poketalk-newest" not in page(watcher.get(CALLS))

    asked = {"id": [str(first.pk)], "newest": ""}
    before = watcher.get(LIVE, asked)
    second = connected(new_call())
    after = watcher.get(LIVE, asked, headers={"If-None-Match": before["ETag"]})

    assert (before.json()["newest"], after.json()["newest"]) == (first.pk, second.pk)
    again = watcher.get(LIVE, asked, headers={"If-None-Match": after["ETag"]})
    assert again.status_code == 304


def test_an_empty_list_of_calls_in_progress_learns_of_the_first(
    watcher: Client, new_call: Callable[..., CallRequest]
) -> None:
    assert 'data-poketalk-newest="0"' in page(watcher.get(CALLS, {"outcome": "live"}))

    assert watcher.get(LIVE, {"newest": ""}).json() == {"rows": {}, "newest": 0}
