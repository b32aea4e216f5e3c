"""The live board, in the admin and on a project's page: who sees what, and what polling costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_poketalk.models import CallRequest

from .people import agent, connected, contact, contains_number, page, render, someone, staff, text

BOARD = "/admin/poketalk/callrequest/board/"
ROWS = f"{BOARD}rows/"


@pytest.fixture(autouse=True)
def fresh_counts() -> None:
    cache.clear()


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


def keys(html: str) -> list[int]:
    return [int(part.split('"')[0]) for part in html.split('data-key="')[1:] if part[0].isdigit()]


def test_a_row_says_who_talks_with_whom_about_what_how_long_and_for_how_much(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    anna = someone("anna", first_name="Anna", last_name="Schmidt")
    talking = connected(
        new_call(user=anna, subject=contact("Bob")),
        b_answered_at=timezone.now() - timedelta(seconds=75),
        cost=Decimal("1.25"),
    )
    connected(new_call(), status=8, ended_at=timezone.now())

    html = page(boss.get(BOARD))

    assert keys(html) == [talking.pk]
    words = text(html)
    for fact in ("Connected", "Anna Schmidt", "+44 20 7946 0123", "Bob", "1:1", "1.250"):
        assert fact in words
    assert "1 live call" in words
    assert "Calls today 2" in words
    assert f'formaction="/admin/poketalk/callrequest/{talking.pk}/hang-up/"' in html
    assert f'<a href="/admin/poketalk/callrequest/{talking.pk}/change/">' in html


def test_scheduled_calls_are_not_live(boss: Client, new_call: Callable[..., CallRequest]) -> None:
    new_call(not_before=timezone.now() + timedelta(hours=1))

    assert "Nobody is on the phone." in page(boss.get(BOARD))


def test_numbers_are_masked_and_hang_up_is_left_out_without_the_permissions(
    call: CallRequest,
) -> None:
    connected(call)

    html = page(staff("watcher", "view_callrequest").get(ROWS))

    assert keys(html) == [call.pk]
    assert not contains_number(html)
    assert "formaction" not in html


@pytest.mark.parametrize(
    "change",
    [
        {"status": 5},
        {"cost": Decimal("9.5")},
        {"hangup_requested_at": timezone.now()},
        {"status": 8, "ended_at": timezone.now()},
        {"placed_at": None},
    ],
)
def test_the_board_is_304_until_a_call_changes(
    change: dict[str, Any], boss: Client, call: CallRequest
) -> None:
    connected(call)
    etag = boss.get(ROWS)["ETag"]
    assert boss.get(ROWS, headers={"if-none-match": etag}).status_code == 304

    CallRequest.objects.filter(pk=call.pk).update(**change)

    assert boss.get(ROWS, headers={"if-none-match": etag}).status_code == 200


def test_a_new_call_changes_an_empty_board(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    etag = boss.get(ROWS)["ETag"]

    call = new_call()

    assert keys(page(boss.get(ROWS, headers={"if-none-match": etag}))) == [call.pk]


@pytest.mark.parametrize("count", [0, 30])
def test_an_unchanged_board_costs_one_query_besides_the_login(
    count: int,
    boss: Client,
    new_call: Callable[..., CallRequest],
    django_assert_num_queries: Any,
) -> None:
    for _ in range(count):
        connected(new_call())
    etag = boss.get(ROWS)["ETag"]

    with django_assert_num_queries(3):  # session, user; the sums of the live calls
        assert boss.get(ROWS, headers={"if-none-match": etag}).status_code == 304


def test_the_rows_of_a_board_share_their_queries(
    boss: Client, new_call: Callable[..., CallRequest], django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        connected(new_call(user=someone(f"user{number}"), subject=contact(f"Bob {number}")))
    boss.get(ROWS)

    with django_assert_max_num_queries(5):  # session, user; sums, rows, subjects
        assert len(keys(page(boss.get(ROWS)))) == 30


def test_visible_calls_decides_in_the_admin_and_on_pages(
    boss: Client, settings: Any, new_call: Callable[..., CallRequest]
) -> None:
    anna = agent("anna", "view_callrequest")
    connected(new_call())
    mine = connected(new_call(user=anna))
    settings.POKETALK = {**settings.POKETALK, "VISIBLE_CALLS": f"{__name__}.only_annas"}

    assert keys(page(boss.get(ROWS))) == [mine.pk]
    assert keys(render("live_board", anna)) == [mine.pk]
    assert "Calls today 1" in text(render("live_board", anna))


def only_annas(calls: Any, user: Any) -> Any:
    return calls.filter(user__username="anna")


def test_users_see_their_own_calls_on_a_page_and_others_nothing(
    new_call: Callable[..., CallRequest],
) -> None:
    anna = agent("anna")
    connected(new_call())
    mine = connected(new_call(user=anna))

    html = render("live_board", anna)

    assert keys(html) == [mine.pk]
    assert f'formaction="{reverse("poketalk:hang-up", args=[mine.pk])}"' in html
    assert render("live_board", someone("nobody")) == ""
    assert render("live_board") == ""


def test_the_rows_of_a_page_need_a_login(db: None) -> None:
    assert Client().get(reverse("poketalk:board")).status_code == 401
    assert staff("clerk", "place_call").get(ROWS).status_code == 403


def test_hanging_up_returns_to_the_board_without_a_script(boss: Client, call: CallRequest) -> None:
    connected(call)
    hang_up = f"/admin/poketalk/callrequest/{call.pk}/hang-up/"

    response = boss.post(hang_up, {"next": BOARD})

    assert (response.status_code, response["Location"]) == (302, BOARD)
    call.refresh_from_db()
    assert call.hangup_requested_at is not None
    as_script = boss.post(hang_up, {"next": BOARD}, headers={"accept": "application/json"})
    assert as_script.json() == {"ending": False}


def test_the_newest_calls_are_shown_of_very_many(
    boss: Client, new_call: Callable[..., CallRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_poketalk.presentation.live_board.MOST_ROWS", 2)
    calls = [connected(new_call()) for _ in range(3)]

    html = page(boss.get(ROWS))

    assert keys(html) == [calls[2].pk, calls[1].pk]
    assert "Only the newest calls are shown." in html
