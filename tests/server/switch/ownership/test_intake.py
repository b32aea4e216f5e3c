"""A switch claims calls only within its limits, and only while its writes keep up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.server.models import Account, Call
from django_poketalk.server.switch.database_threads import DatabaseThreads
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import intake
from django_poketalk.server.switch.ownership.intake import MAX_DELAY, Intake, RateLimit

from ..conftest import SPEED, Service, ended, serve


@given(
    per_second=st.integers(1, 50),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 100)), max_size=60),
)
def test_no_second_has_more_calls_than_its_limit_and_the_unused_rest_of_the_last(
    per_second: int, steps: list[tuple[float, int]]
) -> None:
    limit, now = RateLimit(), 0.0
    claimed: list[tuple[float, int]] = []
    for passed, requested in steps:
        now += passed
        allowed = min(requested, limit.room(per_second, now))
        limit.use(allowed)
        claimed.append((now, allowed))
    for at, _number in claimed:
        assert sum(n for when, n in claimed if at <= when < at + 1) <= 2 * per_second


OUTLOOK = GatewayAvailability(["simulated"])


@pytest.mark.django_db(transaction=True)
class TestLimits:
    def claim(
        self, service: Service, live: int = 0, backlog: float = 0.0, delay: float = 0.0
    ) -> list[Any]:
        async def once() -> list[Any]:
            database = DatabaseThreads(1, 5.0)
            switch_intake = Intake(
                "one", database, lambda: OUTLOOK, lambda: live, lambda: backlog, lambda: delay
            )
            try:
                claimed, _more = await switch_intake.claim()
                return claimed
            finally:
                await asyncio.to_thread(database.close)

        return asyncio.run(once())

    def test_live_calls_count_toward_the_limit(self, service: Service, settings: Any) -> None:
        settings.POKETALK_SERVER = {"SWITCH_CALLS": 5}
        for _ in range(4):
            service.queue()
        assert len(self.claim(service, live=3)) == 2
        assert Call.objects.queued().count() == 2

    def test_a_full_switch_leaves_calls_in_the_queue(self, service: Service, settings: Any) -> None:
        settings.POKETALK_SERVER = {"SWITCH_CALLS": 5}
        service.queue()
        assert self.claim(service, live=5) == []
        assert len(self.claim(service)) == 1

    def test_calls_per_second_are_limited(self, service: Service, settings: Any) -> None:
        settings.POKETALK_SERVER = {"SWITCH_CALLS_PER_SECOND": 3}
        for _ in range(5):
            service.queue()
        assert len(self.claim(service)) == 3

    def test_a_full_switch_still_fails_overdue_calls(self, service: Service, settings: Any) -> None:
        settings.POKETALK_SERVER = {"SWITCH_CALLS": 1}
        old, young = service.queue(), service.queue()
        Call.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(seconds=31))
        [claimed] = self.claim(service, live=1)
        assert (claimed.key.pk, claimed.refused) == (old.pk, "queue_timeout")
        assert Call.objects.queued().get() == young

    def test_an_overloaded_switch_claims_nothing(self, service: Service) -> None:
        service.queue()
        assert self.claim(service, backlog=intake.MAX_BACKLOG + 1) == []
        assert self.claim(service, delay=intake.MAX_DELAY + 1) == []
        assert Call.objects.queued().exists()
        assert len(self.claim(service, backlog=0.1, delay=0.1)) == 1

    def test_a_switch_that_falls_behind_claims_fewer_calls(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "BATCH", 4)
        for _ in range(6):
            service.queue()
        assert len(self.claim(service, delay=intake.MAX_DELAY / 2)) == 2
        assert len(self.claim(service)) == 4

    def test_overdue_calls_are_looked_for_only_while_calls_are_left_in_the_queue(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "BATCH", 4)
        searches: list[bool] = []
        claim = intake.claims.claim

        def logged(*args: Any, overdue: bool = False, **options: Any) -> Any:
            searches.append(overdue)
            return claim(*args, overdue=overdue, **options)

        monkeypatch.setattr(intake.claims, "claim", logged)
        for _ in range(3):
            service.queue()

        async def rounds(number: int) -> list[bool]:
            database = DatabaseThreads(1, 5.0)
            switch_intake = Intake(
                "one", database, lambda: OUTLOOK, lambda: 0, lambda: 0.0, lambda: MAX_DELAY / 2
            )
            try:
                limited = []
                for _ in range(number):
                    await switch_intake.claim()
                    limited.append(switch_intake.is_limited)
                return limited
            finally:
                await asyncio.to_thread(database.close)

        assert asyncio.run(rounds(3)) == [True, False, False]  # room for two calls, then for one
        assert searches == [False, True, False, False]

    def test_a_switch_with_limits_serves_all_calls_in_turn(
        self, service: Service, settings: Any
    ) -> None:
        settings.POKETALK_SERVER = {"SWITCH_CALLS": 2, "SWITCH_CALLS_PER_SECOND": 50}
        for _ in range(6):
            service.queue(b="01")
        most = 0

        class Counted(Engine):
            async def _claim(self) -> None:
                nonlocal most
                await super()._claim()
                most = max(most, self.calls)

        serve(Counted("test", SPEED), until=ended())
        assert 0 < most <= 2
        assert set(Call.objects.values_list("hangup_cause", flat=True)) == {"busy"}
        assert Account.objects.get().held == 0
