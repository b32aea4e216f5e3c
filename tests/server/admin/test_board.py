"""The service's live board: what it shows, to whom, and what polling costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.server.models import Call

from .. import money
from ..staff import staff

BOARD = "/admin/poketalk_server/call/board/"
ROWS = f"{BOARD}rows/"


def client(*permissions: str) -> Client:
    return staff("view_call", *permissions)


def queued(customer: Any) -> Any:
    call = customer.new_call()
    assert money.queue(call, Decimal("0.5"))
    return call


def dial(customer: Any, call: Any, side: str, **facts: Any) -> Any:
    return call.legs.create(
        side=side, attempt=1, gateway=customer.gateway, number="442079460000",
        price_per_minute=0, connect_fee=0, initial_increment=1, subsequent_increment=1, **facts,
    )  # fmt: skip


def test_a_row_has_the_account_the_legs_and_a_button(customer: Any) -> None:
    call = queued(customer)
    dial(customer, call, "A", answered_at=timezone.now())
    dial(customer, call, "B", ringing_at=timezone.now())

    html = client("view_numbers", "hang_up_call").get(BOARD).content.decode()

    assert str(customer.account) in html
    assert f"<bdi>{customer.gateway}</bdi> · answered" in html
    assert f"<bdi>{customer.gateway}</bdi> · ringing" in html
    assert f'formaction="/admin/poketalk_server/call/{call.pk}/hang-up/"' in html


def test_numbers_are_masked_without_the_permission(customer: Any) -> None:
    call = queued(customer)

    html = client().get(ROWS).content.decode()

    assert f'data-key="{call.pk}"' in html
    assert call.to_number[4:] not in html.replace(" ", "")
    assert "formaction" not in html


def test_the_board_is_304_until_something_changes(
    customer: Any, django_assert_max_num_queries: Any
) -> None:
    call = queued(customer)
    reader = client()
    etag = reader.get(ROWS)["ETag"]
    # session, user, permissions of the user and of the groups; calls, legs; the database's time
    with django_assert_max_num_queries(7):
        assert reader.get(ROWS, headers={"if-none-match": etag}).status_code == 304

    dial(customer, call, "A")
    changed = reader.get(ROWS, headers={"if-none-match": etag})
    assert changed.status_code == 200

    Call.objects.filter(pk=call.pk).update(state=Call.State.ENDED, held=0)
    ended = reader.get(ROWS, headers={"if-none-match": changed["ETag"]})
    assert "No calls are in progress." in ended.content.decode()


def test_hanging_up_without_a_script_returns_to_the_board(customer: Any) -> None:
    call = queued(customer)

    response = client("hang_up_call").post(
        f"/admin/poketalk_server/call/{call.pk}/hang-up/", {"to": "board"}
    )

    assert response["Location"] == BOARD
    call.refresh_from_db()
    assert call.hangup_requested_at is not None


@pytest.mark.django_db
def test_the_board_requires_the_permission_to_view_calls() -> None:
    assert staff("view_account").get(ROWS).status_code == 403
