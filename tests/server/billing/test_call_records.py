"""Call records: who may download them, for which calls, and what is in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_poketalk.server.billing import call_records
from django_poketalk.server.models import Account, Call, Leg, Rate
from django_poketalk.shared import csv_export

from .. import money
from ..conftest import CALLEE, CALLER, Customer, make_customer
from ..staff import history, page, staff

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Queued = Callable[..., Call]


def parse(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix(csv_export.BYTE_ORDER_MARK))))


def downloaded(response: Any) -> list[dict[str, str]]:
    assert response.status_code == 200, response.content
    return parse(b"".join(response.streaming_content).decode())


@pytest.fixture
def ended(customer: Customer, queued: Queued) -> Callable[..., Call]:
    """A function that makes a call of 70 s and 61 s that was charged at this time."""

    def make(charged_at: datetime = NOON, **fields: Any) -> Call:
        call = queued(hold=Decimal(5), status=8, hangup_cause="normal", **fields)
        answered = NOON - timedelta(seconds=70, microseconds=5)
        for side, number, seconds in (("A", CALLER, 70), ("B", CALLEE, 61)):
            Leg.objects.create(
                call=call,
                side=side,
                number=number,
                destination=f"Land {side}",
                price_per_minute=Decimal("0.125"),
                connect_fee=Decimal("0.01"),
                initial_increment=60,
                subsequent_increment=6,
                initiated_at=answered,
                answered_at=answered + timedelta(seconds=70 - seconds),
                ended_at=NOON,
                duration=seconds,
                cost=Decimal("0.160"),
            )
        money.charge(call, Decimal("0.160"), Decimal("0.160"))
        Call.objects.filter(pk=call.pk).update(charged_at=charged_at, state=Call.State.ENDED)
        return call

    return make


def test_a_row_has_both_legs_with_their_tariffs(
    customer: Customer, ended: Callable[..., Call]
) -> None:
    call = ended(custom="=1+1", leg_a_billed="connected")
    client = staff("view_account", "view_call", "view_numbers")
    url = page(Account, "call_records", customer.account.pk)

    with timezone.override("Europe/Berlin"):
        [row] = downloaded(
            client.get(url, {"first": "2026-03-01", "last": "2026-03-01", "format": "csv"})
        )

    assert row == row | {
        "call_id": str(call.pk),
        "account": "ACME",
        "custom": "'=1+1",
        "status": "8",
        "max_duration": str(call.max_duration),
        "currency": "EUR",
        "cost": "0.320",
        "a_number": CALLER,
        "a_destination": "Land A",
        "a_seconds": "70",
        "a_billed_from": "B",
        "a_billed_seconds": "66",
        "a_price_per_minute": "0.125000",
        "a_connect_fee": "0.010000",
        "a_initial_increment": "60",
        "a_subsequent_increment": "6",
        "a_cost": "0.160",
        "b_number": CALLEE,
        "b_billed_from": "B",
        "b_billed_seconds": "66",
    }
    assert datetime.fromisoformat(row["a_ended"]) == NOON
    assert datetime.fromisoformat(row["charged"]).utcoffset() is not None
    assert history(customer.account) == ["Exported call records as CSV: 2026-03-01 to 2026-03-01."]


def test_an_account_has_its_own_calls_of_the_period(
    customer: Customer, ended: Callable[..., Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_records, "BATCH", 2)
    other = make_customer("Other")
    ended(NOON - timedelta(days=1))
    ended(NOON, account=other.account)
    late = ended(NOON + timedelta(hours=1))
    same = [ended(NOON) for _ in range(5)]
    ended(NOON + timedelta(days=1))
    midnight = NOON.replace(hour=0)

    found = call_records.charged([customer.account], midnight, midnight + timedelta(days=1))
    assert [call.pk for call in found] == [*(call.pk for call in same), late.pk]

    both = call_records.charged(Account.objects.all(), midnight, midnight + timedelta(days=1))
    assert len(list(both)) == 7


def test_free_calls_are_in_the_file_with_nothing_billed(customer: Customer, queued: Queued) -> None:
    call = queued(hold=Decimal(1))
    Leg.objects.create(
        call=call, side="A", number=CALLER, initiated_at=NOON, **customer.rate.tariff.columns()
    )
    money.charge(call, Decimal(0), Decimal(0))
    [row] = call_records.rows(
        call_records.with_legs(Call.objects.filter(pk=call.pk)), whole_numbers=True
    )
    record = dict(zip(call_records.COLUMNS, row, strict=True))
    assert (record["a_billed_seconds"], record["a_cost"], record["b_cost"]) == (0, 0, 0)
    assert record["b_price_per_minute"] is None
    assert record["a_answered"] is None


def test_of_several_attempts_the_answered_one_counts(ended: Callable[..., Call]) -> None:
    call = ended()
    leg = Leg.objects.get(call=call, side="B")
    Leg.objects.filter(pk=leg.pk).update(attempt=2)
    leg.pk, leg.attempt, leg.answered_at, leg.duration, leg.cost = None, 1, None, 0, 0
    leg.destination = "Nowhere"
    leg.save()
    [row] = call_records.rows(call_records.with_legs(Call.objects.all()), whole_numbers=True)
    record = dict(zip(call_records.COLUMNS, row, strict=True))
    assert (record["b_seconds"], record["b_destination"]) == (61, "Land B")


def test_older_legs_have_the_destination_of_the_rate(ended: Callable[..., Call]) -> None:
    ended()
    Leg.objects.update(destination="")
    Rate.objects.update(destination="Everywhere")
    [row] = call_records.rows(call_records.with_legs(Call.objects.all()), whole_numbers=True)
    assert row.count("Everywhere") == 2


def test_numbers_are_masked_without_the_permission(
    customer: Customer, ended: Callable[..., Call]
) -> None:
    ended()
    client = staff("view_account", "view_call")
    url = page(Account, "call_records", customer.account.pk)
    response = client.get(url, {"first": "2026-03-01", "last": "2026-03-02", "format": "csv"})
    text = b"".join(response.streaming_content).decode()
    assert CALLER not in text
    assert CALLEE not in text
    assert CALLER[-2:] in text


@pytest.mark.parametrize("permission", ["view_ledgerentry", "view_leg"])
def test_the_page_requires_the_permission_to_see_calls(customer: Customer, permission: str) -> None:
    client = staff("view_account", permission)
    url = page(Account, "call_records", customer.account.pk)
    assert client.get(url).status_code == 403
    account_page = client.get(page(Account, "change", customer.account.pk)).content.decode()
    assert "call-records" not in account_page


def test_the_account_links_to_the_form_which_begins_with_the_last_month(
    customer: Customer,
) -> None:
    client = staff("view_account", "view_call")
    url = page(Account, "call_records", customer.account.pk)
    assert url in client.get(page(Account, "change", customer.account.pk)).content.decode()
    html = client.get(url).content.decode()
    first = (timezone.localdate().replace(day=1) - timedelta(days=1)).replace(day=1)
    assert f'value="{first.isoformat()}"' in html
    wrong = client.get(url, {"first": "2026-03-02", "last": "2026-03-01", "format": "csv"})
    assert "The first day must not be after the last." in wrong.content.decode()


def test_selected_calls_are_downloaded_from_the_list(ended: Callable[..., Call]) -> None:
    first, _second, third = ended(), ended(), ended()
    client = staff("view_call")
    rows = downloaded(
        client.post(
            page(Call, "changelist"),
            {"action": "export_call_records", "_selected_action": [first.pk, third.pk]},
        )
    )
    assert [row["call_id"] for row in rows] == [str(third.pk), str(first.pk)]


# The command


def test_the_command_writes_the_same_rows(
    customer: Customer, ended: Callable[..., Call], tmp_path: Path
) -> None:
    call = ended(datetime(2026, 3, 1, 23, 30, tzinfo=UTC))
    make_customer("Other")
    file = tmp_path / "records.csv"
    options = {"account": ["ACME"], "output": str(file), "time_zone": "Europe/Berlin"}

    call_command("poketalk_export_calls", "2026-03-02", "2026-03-02", **options)

    [row] = parse(file.read_bytes().decode())
    assert row["call_id"] == str(call.pk)
    assert row["charged"] == "2026-03-02T00:30:00.000000+01:00"
    assert row["time_zone"] == "Europe/Berlin"
    assert row["a_number"] == CALLER
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("poketalk_export_calls", "2026-03-02", "2026-03-02", **options)


def test_the_command_prints_all_accounts_and_masks_on_request(
    ended: Callable[..., Call], capsys: pytest.CaptureFixture[str]
) -> None:
    ended()
    call_command("poketalk_export_calls", "2026-03-01", "2026-03-01", mask_numbers=True)
    [row] = parse(capsys.readouterr().out)
    assert row["a_number"].endswith(CALLER[-2:])
    assert CALLER not in row["a_number"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2026-03-02", "2026-03-01"], "must not be after"),
        (["2026-03-01", "0001-01-01"], "not a day such as"),
        (["2026-03-01", "2026-03-01", "--account", "Nobody"], "no account 'Nobody'"),
        (["2026-03-01", "2026-03-01", "--time-zone", "../x"], "no time zone"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("poketalk_export_calls", *arguments)


def test_the_period_is_read_with_few_queries(
    customer: Customer, ended: Callable[..., Call], django_assert_num_queries: Any
) -> None:
    for _ in range(20):
        ended()
    with django_assert_num_queries(2):
        list(
            call_records.rows(
                call_records.charged([customer.account], NOON, NOON + timedelta(days=1)),
                whole_numbers=True,
            )
        )
