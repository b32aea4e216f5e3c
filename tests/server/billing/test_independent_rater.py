"""A stranger's rater, written from docs/topics/money.md alone, finds no difference in anything.

Simulated calls of both ways to bill leg A, admitted before and after the midnight at which prices
change, are served by a real switch. The rater reads the CSV file of the call records; seconds,
prices, ledger and events have to agree with it.
"""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone as django_timezone

from django_poketalk.server import views
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Call, LedgerEntry, Rate
from django_poketalk.server.switch.engine import Engine

from ..conftest import Customer, make_customer
from ..switch.conftest import PATIENCE, SPEED, serve
from ..switch.customer import Customer as Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

Row = dict[str, str]

# Fictional numbers; the last two digits choose what the phone does.
NUMBERS = {"44": "4420794601", "1": "131255501", "1202": "120255501", "33": "331990000"}
CALLERS = ("06", "10", "11", "12", "20", "99", "99", "99", "01")
CALLEES = ("06", "10", "11", "12", "13", "20", "21", "99", "01", "03")
MIDNIGHT_IN = timedelta(seconds=600)  # from the beginning; then the test moves it to now
PRICES = {  # by when they are valid and prefix: per minute, fee, initial, subsequent, minimum
    "old": {
        "44": ("0.12", "0.01", 60, 6, "0"),
        "1": ("0.033333", "0", 1, 1, "0.02"),
        "1202": ("0.3", "0.005", 30, 30, "0.25"),
        "33": ("0", "0.099999", 1, 60, "0"),
    },
    "new": {
        "44": ("0.18", "0", 1, 1, "0.05"),
        "1202": ("0.071", "0.0004", 6, 6, "0"),
        "33": ("1.5", "0.01", 60, 60, "2"),
    },
}


# The rater, from docs/topics/money.md


def completed_seconds(row: Row, leg: str) -> int | None:
    """From answer to end, by the times; None if nobody answered."""
    if not row[f"{leg}_answered"]:
        return None
    a_answered, answered, ended = (
        datetime.fromisoformat(row[each])
        for each in ("a_answered", f"{leg}_answered", f"{leg}_ended")
    )
    limit = int(row["max_duration"]) - completed(answered - a_answered)
    return min(completed(ended - answered), limit)


def completed(time: timedelta) -> int:
    """Whole seconds, of times that were each rounded to a microsecond."""
    return int((time + timedelta(microseconds=2)).total_seconds())


def rated(row: Row, leg: str, seconds: int) -> tuple[int, Decimal]:
    """Billed seconds and cost of a leg after so many seconds."""
    initial, step = (int(row[f"{leg}_{what}_increment"]) for what in ("initial", "subsequent"))
    billed = initial + max(0, math.ceil(Fraction(seconds - initial, step))) * step
    price, fee, least = (
        Fraction(row[f"{leg}_{what}"])
        for what in ("price_per_minute", "connect_fee", "minimum_charge")
    )
    exact = max(fee + price * billed / 60, least)
    return billed, Decimal(math.ceil(exact * 1000)) / 1000


def check(row: Row) -> list[str]:
    """What is wrong in a row of the file."""
    wrong: list[str] = []
    found = {leg: completed_seconds(row, leg) for leg in "ab"}
    total = Decimal(0)
    for leg in "ab":
        if (found[leg] or 0) != int(row[f"{leg}_seconds"]):
            wrong.append(f"{leg} lasted {found[leg]} s, not {row[f'{leg}_seconds']}")
        seconds = found[row[f"{leg}_billed_from"].lower()]
        billed, cost = (0, Decimal(0)) if seconds is None else rated(row, leg, seconds)
        if billed != int(row[f"{leg}_billed_seconds"]):
            wrong.append(f"{leg} is billed for {row[f'{leg}_billed_seconds']} s, not {billed}")
        if cost != Decimal(row[f"{leg}_cost"]):
            wrong.append(f"{leg} costs {row[f'{leg}_cost']}, not {cost}")
        total += cost
    if total != Decimal(row["cost"]):
        wrong.append(f"the call costs {row['cost']}, not {total}")
    return wrong


def price_of(number: str, *, is_new: bool) -> tuple[str, tuple[Any, ...]]:
    """The prefix with its price: the longest one, and of its prices the newest that is valid."""
    valid = PRICES["old"] | (PRICES["new"] if is_new else {})
    prefix = max((each for each in valid if number.startswith(each)), key=len)
    return prefix, valid[prefix]


# The calls


class Midnight:
    """The service's time zone, whose next midnight a test chooses."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC) + MIDNIGHT_IN
        self.day = (self.at + timedelta(hours=12)).date()  # which begins then

    @property
    def zone(self) -> timezone:
        return timezone(datetime.combine(self.day, time.min, UTC) - self.at)


@pytest.fixture
def midnight(monkeypatch: pytest.MonkeyPatch) -> Midnight:
    found = Midnight()
    monkeypatch.setattr(django_timezone, "get_default_timezone", lambda: found.zone)
    return found


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as found:
        yield found


def customer_of(name: str, leg_a_billed: str, new_from: date) -> Customer:
    customer = make_customer(name, balance="5000")
    customer.provider.leg_a_billed = leg_a_billed
    customer.provider.save()
    Account.objects.filter(pk=customer.account.pk).update(max_duration=100)
    customer.rate.delete()
    for when, prices in PRICES.items():
        for prefix, (price, fee, initial, subsequent, minimum) in prices.items():
            Rate.objects.create(
                price_list=customer.price_list,
                prefix=prefix,
                destination=f"{when} {prefix}",
                price_per_minute=Decimal(price),
                connect_fee=Decimal(fee),
                initial_increment=initial,
                subsequent_increment=subsequent,
                minimum_charge=Decimal(minimum),
                **({"valid_from": new_from} if when == "new" else {}),
            )
    return customer


def request_calls(
    customers: list[Customer], names: list[str], url: str, chosen: random.Random
) -> None:
    for name in names:
        a = b = ""
        while a == b:
            a, b = (
                NUMBERS[chosen.choice([*NUMBERS])] + chosen.choice(endings)
                for endings in (CALLERS, CALLEES)
            )
        code = chosen.choice(customers).request_call(from_=a, to=b, custom=name, eventurl=url)
        assert code == "00"


@pytest.mark.parametrize(
    "number", [100, pytest.param(1000, marks=[pytest.mark.programs, pytest.mark.timeout(500)])]
)
def test_every_figure_can_be_computed_again(
    number: int,
    midnight: Midnight,
    endpoint: Endpoint,
    settings: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(views, "WAIT", 60.0)  # seconds: a busy machine is no refusal
    settings.POKETALK_SERVER = {"EVENT_NETWORKS": ("127.0.0.0/8",), "QUEUE_TIMEOUT": 300}
    customers = [
        customer_of(name, billed, midnight.day)
        for name, billed in (("Answer", "answer"), ("Connected", "connected"))
    ]
    url = endpoint.eventurl
    chosen = random.Random(number)
    names = [f"web{each}" for each in range(number)]
    before, after = names[: number // 2], names[number // 2 :]
    request_calls(customers, before, url, chosen)

    admitted = False

    def all_ended() -> bool:
        nonlocal admitted
        if not admitted:  # while calls of the day before are live
            if not Call.objects.filter(state=Call.State.ACTIVE, status__gte=3).exists():
                return False
            midnight.at = datetime.now(UTC) - timedelta(milliseconds=1)
            request_calls(customers, after, url, chosen)
            admitted = True
        return not Call.objects.exclude(state=Call.State.ENDED).exists()

    serve(Engine("office", SPEED), until=all_ended, patience=max(PATIENCE, number / 3))

    days = [(datetime.now(UTC) + timedelta(days=each)).date().isoformat() for each in (-1, 1)]
    call_command("poketalk_export_calls", *days, time_zone="Europe/Berlin")
    text = capsys.readouterr().out
    rows = {row["custom"]: row for row in csv.DictReader(io.StringIO(text.lstrip("\ufeff")))}
    assert sorted(rows) == sorted(names)

    differences = [
        f"{name}: {wrong}"
        for name, row in rows.items()
        for wrong in (
            *check(row),
            *check_prices(row, is_new=name in after),
            *check_ledger(row),
            *check_events(row, endpoint),
        )
    ]
    assert differences == []
    for customer in customers:
        check_balance(customer, [*rows.values()])
    assert {row["a_billed_from"] for row in rows.values()} == {"A", "B"}
    connected = [row for row in rows.values() if row["status"] == "8"]
    assert len(connected) > number / 4


def check_prices(row: Row, *, is_new: bool) -> list[str]:
    """Whether the tariffs in the row are those of the price list at the request."""
    wrong = []
    for leg in "ab":
        if row[f"{leg}_price_per_minute"]:
            prefix, price = price_of(row[f"{leg}_number"], is_new=is_new)
            billed = tuple(
                Decimal(row[f"{leg}_{what}"])
                for what in (
                    *("price_per_minute", "connect_fee", "initial_increment"),
                    *("subsequent_increment", "minimum_charge"),
                )
            )
            if billed != tuple(Decimal(each) for each in price):
                wrong.append(f"{leg} has the price {billed} for {prefix}, not {price}")
    return wrong


def check_ledger(row: Row) -> list[str]:
    """Whether each leg that cost anything has one entry."""
    entries = LedgerEntry.objects.filter(call=row["call_id"])
    booked = sorted((entry.side, -entry.amount) for entry in entries)
    costs = [(leg, Decimal(row[f"{leg.lower()}_cost"])) for leg in "AB"]
    expected = [(leg, cost) for leg, cost in costs if cost]
    return [] if booked == expected else [f"booked is {booked}, not {expected}"]


def check_events(row: Row, endpoint: Endpoint) -> list[str]:
    """Whether the debit never falls, and ends as the cost with leg A's seconds."""
    events = [each for each in endpoint.events if each["webcallid"] == row["custom"]]
    debits = [Decimal(each["debit"]) for each in events]
    last = (events[-1]["status"], events[-1]["duration"], debits[-1])
    expected = (row["status"], row["a_seconds"], Decimal(row["cost"]))
    wrong = [] if last == expected else [f"the last event is {last}, not {expected}"]
    return wrong if debits == sorted(debits) else [*wrong, f"the debit falls: {debits}"]


def check_balance(customer: Customer, rows: list[Row]) -> None:
    """Whether the balance is what the file leaves of it, and nothing is held."""
    account = Account.objects.get(pk=customer.account.pk)
    spent = sum(Decimal(row["cost"]) for row in rows if row["account"] == account.name)
    assert spent > 0
    assert (account.balance, account.held) == (5000 - spent, 0)
    assert account.charged(ledger.today()) <= spent
