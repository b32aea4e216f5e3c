"""Whoever learns the EventURL of a call can end it, and change nothing else that matters."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from django_poketalk.calls import caps, placing, requesting
from django_poketalk.checks import deployment
from django_poketalk.models import CallRequest, Placement
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.events.test_event_view import tell

Change = Callable[..., None]
NewCall = Callable[..., CallRequest]

FINALS = (2, 4, 6, 8)
LIVE = (0, 1, 3, 5, 7)
HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)
MARGIN, SLOT = 120, 30  # seconds, as documented


@pytest.fixture
def new_call(db: None) -> NewCall:
    """A call that was sent some time ago."""

    def make(sent: timedelta = timedelta(0), **changes: Any) -> CallRequest:
        call = requesting.request_call(**{"from_number": CALLER, "to_number": CALLEE, **changes})
        placing.place(call.pk)
        CallRequest.objects.update(
            created_at=F("created_at") - sent,
            sent_at=F("sent_at") - sent,
            placed_at=F("placed_at") - sent,
        )
        return read(call)

    return make


def read(call: CallRequest) -> CallRequest:
    return CallRequest.objects.get(pk=call.pk)


def change(call: CallRequest, **columns: Any) -> None:
    CallRequest.objects.filter(pk=call.pk).update(**columns)


def columns(call: CallRequest) -> dict[str, Any]:
    """Everything that is stored of the call."""
    return {
        **CallRequest.objects.filter(pk=call.pk).values().get(),
        "events": list(call.events.order_by("id").values()),
    }


def ago(**length: float) -> datetime:
    return timezone.now() - timedelta(**length)


class TestFigures:
    @pytest.mark.parametrize("status", [7, 8])
    def test_a_duration_counts_only_as_far_as_it_can_be_true(
        self, client: Client, new_call: NewCall, status: int
    ) -> None:
        young = new_call(sent=timedelta(minutes=10), max_duration=3600)
        tell(client, young, status, 999_999_999)
        assert 600 <= read(young).duration <= 600 + MARGIN + 60

        old = new_call(sent=timedelta(hours=1.5), max_duration=3600)
        tell(client, old, status, 999_999_999)
        assert read(old).duration == 3600 + MARGIN

    def test_a_cost_counts_up_to_twice_the_signed_limit(
        self, client: Client, new_call: NewCall
    ) -> None:
        call = new_call(max_cost=Decimal("1.5"))

        assert tell(client, call, 7, 5, "999999999") == 412
        assert read(call).cost == 3
        tell(client, call, 8, 5, "999999999")
        assert read(call).cost == 3

    def test_a_price_above_the_limit_within_one_minute_counts_whole(
        self, client: Client, new_call: NewCall
    ) -> None:
        call = new_call(sent=timedelta(minutes=2), max_cost=Decimal("0.5"))

        assert [tell(client, call, 3, 0, "0"), tell(client, call, 7, 60, "0.9")] == [200, 412]
        assert tell(client, call, 8, 61, "0.915") == 200
        assert (read(call).duration, read(call).cost) == (61, Decimal("0.915"))

    def test_a_limit_is_enforced_with_the_figures_that_were_reported(
        self, client: Client, new_call: NewCall
    ) -> None:
        call = new_call(max_duration=3600)

        assert tell(client, call, 7, 3599) == 200
        assert tell(client, call, 7, 3600) == 412

    def test_one_url_cannot_use_up_the_budget(
        self, client: Client, new_call: NewCall, poketalk: Change
    ) -> None:
        poketalk(MAX_COST=Decimal(1), SPEND_PER_DAY=Decimal(10), LIVE_CALLS_PER_USER=None)
        call = new_call()
        for status in (*LIVE, *FINALS):
            tell(client, call, status, 999_999_999, "999999999")

        other = CallRequest(from_number=CALLER, to_number=CALLEE)
        [budget] = [cap for cap in caps.caps(other) if cap.name == "spend_per_day"]
        assert (budget.used, budget.is_reached) == (2, False)

    @pytest.mark.parametrize("cap", ["SPEND_PER_DAY", "SPEND_PER_DAY_PER_USER"])
    def test_a_budget_without_a_limit_for_each_call_is_a_warning(
        self, poketalk: Change, cap: str
    ) -> None:
        assert [*deployment.check_budgets()] == []
        poketalk(**{cap: Decimal(10)})
        assert [warning.id for warning in deployment.check_budgets()] == ["poketalk.W013"]
        poketalk(MAX_COST=Decimal(1))
        assert [*deployment.check_budgets()] == []


class TestTheEnd:
    @pytest.mark.parametrize("status", LIVE)
    @pytest.mark.parametrize("final", FINALS)
    def test_a_forged_end_does_not_let_a_call_go_on(
        self, client: Client, new_call: NewCall, status: int, final: int
    ) -> None:
        call = new_call()
        assert tell(client, call, 7) == 200
        assert tell(client, call, final, 1) == 200

        assert [tell(client, call, status, 60) for _ in range(2)] == [412, 412]
        assert read(call).status == final
        assert read(call).veto_reason == ""  # it may just be late
        assert (call.events.last().answer, call.events.last().reason) == (
            412,
            "an earlier event reported the end",
        )

    @pytest.mark.parametrize(
        ("state", "event"),
        [
            ({"ended_at": HOUR * 25}, 8),
            ({"ended_at": HOUR}, 7),
            ({"sent_at": MONTH, "stale_at": MONTH, "last_event_at": MONTH}, 3),
            ({"sent_at": MONTH, "stale_at": MONTH, "last_event_at": MONTH}, 8),
            ({"sent_at": HOUR * 26, "created_at": HOUR * 26}, 8),
            ({"sent_at": HOUR * 2, "created_at": HOUR * 26}, 7),
        ],
    )
    def test_nothing_counts_any_more_some_time_after_it(
        self, client: Client, new_call: NewCall, state: dict[str, timedelta], event: int
    ) -> None:
        call = new_call(max_duration=3600)
        tell(client, call, 8 if "ended_at" in state else 7, 60, "0.1")
        now = timezone.now()
        change(call, **{name: now - length for name, length in state.items()})
        before = columns(call)

        assert tell(client, call, event, 100, "0.2") == (200 if event == 8 else 412)
        assert columns(call) == before


class TestRows:
    def test_repeated_reports_share_a_row(self, client: Client, new_call: NewCall) -> None:
        call = new_call(sent=HOUR)
        for _ in range(20):
            tell(client, call, 7, 60, "0.1")
        tell(client, call, 7, 61, "0.2")

        [event] = call.events.all()
        assert (event.times, event.duration, event.cost) == (21, 61, Decimal("0.2"))
        assert event.received_at < read(call).last_event_at

    def test_a_tick_of_each_minute_has_a_row(self, client: Client, new_call: NewCall) -> None:
        call = new_call(sent=HOUR)
        for minute in range(30):
            tell(client, call, 7, 60 * minute - minute % 2, f"0.{minute}")

        assert list(call.events.values_list("times", flat=True)) == [1] * 30

    def test_a_flood_of_any_reports_has_few_rows(self, client: Client, new_call: NewCall) -> None:
        chance = random.Random(12)
        call = new_call(max_cost=Decimal(5))
        for _ in range(400):
            tell(
                client,
                call,
                chance.choice((*LIVE, *FINALS)),
                chance.choice([chance.randrange(400), chance.randrange(10**9)]),
                str(chance.randrange(10**9)),
            )

        assert call.events.count() <= 9 * (MARGIN + 60) // SLOT


class TestRealServices:
    """What a real service may send still counts."""

    def test_the_final_event_may_come_a_day_late_and_again_and_again(
        self, client: Client, new_call: NewCall
    ) -> None:
        call = new_call(sent=HOUR * 24, max_duration=3600)
        change(call, last_event_at=ago(hours=24), stale_at=ago(hours=23.9), status=7)

        assert [tell(client, call, 8, 1800, "3.5") for _ in range(24)] == [200] * 24
        found = read(call)
        assert (found.status, found.duration, found.cost) == (8, 1800, Decimal("3.5"))
        assert found.ended_at is not None
        assert found.stale_at is None
        assert [event.times for event in call.events.all()] == [24]

    def test_the_true_end_replaces_a_forged_one(self, client: Client, new_call: NewCall) -> None:
        call = new_call(sent=timedelta(minutes=30))
        tell(client, call, 2)
        change(call, ended_at=ago(minutes=20))

        assert tell(client, call, 8, 1200, "2.4") == 200
        assert (read(call).status, read(call).duration) == (8, 1200)
        assert read(call).cost == Decimal("2.4")

    def test_a_call_that_was_silent_for_some_minutes_goes_on(
        self, client: Client, new_call: NewCall
    ) -> None:
        call = new_call(sent=timedelta(minutes=30))
        change(call, last_event_at=ago(minutes=25), stale_at=ago(minutes=22), status=7)

        assert tell(client, call, 7, 1740) == 200
        assert read(call).is_open
        assert read(call).duration == 1740

    def test_a_call_goes_on_after_an_outage_of_the_site(
        self, client: Client, new_call: NewCall, poketalk: Change
    ) -> None:
        poketalk(MAX_DURATION=4 * 3600)
        call = new_call(sent=HOUR * 3)
        change(call, last_event_at=ago(hours=2.9), stale_at=ago(hours=2.8), status=7)

        assert tell(client, call, 7, 10_700, "3.5") == 200
        assert read(call).is_open

    def test_the_end_of_a_long_call_may_come_a_day_late(
        self, client: Client, new_call: NewCall, poketalk: Change
    ) -> None:
        poketalk(MAX_DURATION=4 * 3600)
        call = new_call(sent=HOUR * 28)
        change(call, last_event_at=ago(hours=28), stale_at=ago(hours=27.9), status=1)

        assert tell(client, call, 8, 14_300, "3.5") == 200
        assert (read(call).status, read(call).duration) == (8, 14_300)

    def test_clocks_that_differ_by_a_minute_and_whole_minutes_change_nothing(
        self, client: Client, new_call: NewCall
    ) -> None:
        call = new_call(sent=timedelta(seconds=-60))  # by the clock of the worker

        assert tell(client, call, 8, 60, "0.1") == 200
        assert read(call).duration == 60

    def test_the_first_event_accepts_a_call_whose_answer_was_lost(
        self, client: Client, new_call: NewCall
    ) -> None:
        call = new_call(sent=timedelta(minutes=1))
        change(call, placement=Placement.UNKNOWN, placed_at=None)

        assert tell(client, call, 1) == 200
        assert read(call).placement == Placement.ACCEPTED

    def test_reports_in_any_order_result_in_the_same_call(
        self, client: Client, new_call: NewCall
    ) -> None:
        history = [(1, 0), (3, 0), (5, 0), (7, 9), (7, 60), (7, 120), (8, 130), (8, 130)]
        chance = random.Random(7)
        results = set()
        for _ in range(10):
            call = new_call(sent=timedelta(minutes=5), max_duration=3600)
            for status, duration in chance.sample(history, len(history)):
                tell(client, call, status, duration, f"0.{duration:03}")
            found = read(call)
            results.add((found.status, found.duration, found.cost, found.is_open))
            change(call, rings_at=ago(hours=2))  # for the cap on calls to one number

        assert results == {(8, 130, Decimal("0.13"), False)}
