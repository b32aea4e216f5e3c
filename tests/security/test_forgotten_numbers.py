"""After `FORGET_NUMBERS_AFTER` days, no column of any table contains a number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from django_poketalk.calls import retention
from django_poketalk.models import BlacklistedNumber, CallRequest
from django_poketalk.server import retention as server_retention
from django_poketalk.server.models import Call, LedgerEntry, Leg
from django_poketalk.server.switch import forgetting
from django_poketalk.server.switch.database_threads import DatabaseThreads
from tests.server.conftest import Customer

from . import stored_numbers
from .stored_numbers import CALLEE, PRESENTED, TEXT, places

CALLERS = {
    "poketalk_callrequest.from_number",
    "poketalk_callrequest.to_number",
    "poketalk_callrequest.presented_number",
    "poketalk_callrequest.response_detail",
    "poketalk_callrequest.veto_reason",
    "poketalk_callevent.reason",
    "poketalk_wrapup.note",
    "poketalk_callmetadata.data",
    "poketalk_callback.to_number",
    "poketalk_callback.note",
    "poketalk_callback.metadata",
    "poketalk_blacklistednumber.number",
    "poketalk_blacklistednumber.reason",
}
SERVICES = {
    "poketalk_server_call.custom",
    "poketalk_server_call.eventurl",
    "poketalk_server_call.from_number",
    "poketalk_server_call.to_number",
    "poketalk_server_call.presented_number",
    "poketalk_server_leg.number",
    "poketalk_server_leg.dialog",
    "poketalk_server_eventdelivery.error",
    "poketalk_server_testcall.number",
    "poketalk_server_ledgerentry.note",
}
HISTORY = {"django_admin_log.object_repr", "django_admin_log.change_message"}


def forget_at_the_service() -> int:
    """Forget batch by batch, as the switch does, and return the number of batches."""
    batches, last = 0, 0
    while found := server_retention.forget_batch(last):
        batches, last = batches + 1, found
    return batches


@pytest.mark.django_db
def test_the_callers_side_forgets_every_copy(poketalk: Callable[..., None]) -> None:
    poketalk(FORGET_NUMBERS_AFTER=30)
    call = stored_numbers.old_request()
    stored_numbers.expired_entry()
    assert places() == CALLERS | HISTORY

    assert retention.forget_old_numbers() == 1

    assert places() == set()
    assert not BlacklistedNumber.objects.exists()
    call.refresh_from_db()
    assert call.to_extension == ""
    assert call.veto_reason.startswith("No: ••••••23; ••••••00")
    assert retention.forget_old_numbers() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("number", stored_numbers.ALL)
def test_customers_ids_with_any_number_of_the_call_are_masked(
    settings: Any, customer: Customer, number: str
) -> None:
    settings.POKETALK_SERVER = {"FORGET_NUMBERS_AFTER": 30}
    stored_numbers.old_call(customer, custom=f"order_{number[1:5]}_{number[5:9]}_{number[9:]}")

    forget_at_the_service()

    assert places() == set()


@pytest.mark.django_db
def test_open_calls_and_entries_in_force_are_kept(poketalk: Callable[..., None]) -> None:
    poketalk(FORGET_NUMBERS_AFTER=30)
    stored_numbers.old_request(placement="accepted")
    BlacklistedNumber.objects.create(number=CALLEE, reason=TEXT)

    assert retention.forget_old_numbers() == 0

    assert places() == {place for place in CALLERS if "callback" not in place}


@pytest.mark.django_db
def test_the_service_forgets_every_copy_and_keeps_the_money(
    settings: Any,
    customer: Customer,
) -> None:
    settings.POKETALK_SERVER = {"FORGET_NUMBERS_AFTER": 30}
    call = stored_numbers.old_call(customer, cost=3)
    before = list(LedgerEntry.objects.values_list("amount", "balance"))
    assert places() == SERVICES | HISTORY

    assert forget_at_the_service() == 1

    assert places() == set()
    call.refresh_from_db()
    assert call.custom == "order 17 for ••••••23"
    assert (call.cost, call.to_extension) == (3, "")
    assert list(LedgerEntry.objects.values_list("amount", "balance")) == before
    assert forget_at_the_service() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("days", "changes"),
    [
        (None, {}),
        (32, {}),
        (30, {"state": Call.State.ACTIVE}),
        (30, {"state": Call.State.ENDING}),
        (30, {"final_event_due_at": stored_numbers.OLD}),
    ],
)
def test_the_service_keeps_recent_and_unfinished_calls(
    settings: Any,
    customer: Customer,
    days: int | None,
    changes: Any,
) -> None:
    settings.POKETALK_SERVER = {"FORGET_NUMBERS_AFTER": days}
    stored_numbers.old_call(customer, **changes)

    assert forget_at_the_service() == 0

    assert {place for place in SERVICES if "call." in place and "test" not in place} <= places()
    assert Leg.objects.exclude(number="").count() == 2


@pytest.mark.django_db
def test_batches_reach_all_rows(
    settings: Any,
    customer: Customer,
    poketalk: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("shared.personal_data", "server.retention"):
        monkeypatch.setattr(f"django_poketalk.{module}.BATCH", 2)
    poketalk(FORGET_NUMBERS_AFTER=30)
    settings.POKETALK_SERVER = {"FORGET_NUMBERS_AFTER": 30}
    for _ in range(5):
        stored_numbers.old_request()
        stored_numbers.old_call(customer)

    assert (retention.forget_old_numbers(), forget_at_the_service()) == (5, 3)

    assert places() == set()


@pytest.mark.django_db(transaction=True)
def test_the_switch_forgets_while_it_runs(settings: Any, customer: Customer) -> None:
    settings.POKETALK_SERVER = {"FORGET_NUMBERS_AFTER": 30}
    stored_numbers.old_call(customer)

    async def round_of_the_switch() -> None:
        threads = DatabaseThreads(1, retry_for=5)
        try:
            await forgetting.forget_old_numbers(threads)
        finally:
            await asyncio.to_thread(threads.close)

    asyncio.run(round_of_the_switch())

    assert places() == set()


@pytest.mark.django_db
def test_the_phones_of_a_deleted_user_are_deleted() -> None:
    stored_numbers.own_phone()
    assert places(CALLEE) == {"poketalk_phone.number", "poketalk_verificationcode.number"}

    stored_numbers.anna().delete()

    assert places(CALLEE, PRESENTED) == set()
    assert not CallRequest.objects.exists()
