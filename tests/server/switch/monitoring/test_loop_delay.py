"""A switch measures how late its event loop runs: if it is late, it claims no new calls."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from django_poketalk.server.models import Call
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.monitoring.loop_delay import INTERVAL, LoopDelay
from django_poketalk.server.switch.ownership.intake import MAX_DELAY

from ..conftest import SPEED, Service, closing, serve

BLOCKED = 0.5  # seconds


def test_a_blocked_loop_is_late_until_it_has_caught_up() -> None:
    delay = LoopDelay()

    async def scenario() -> None:
        assert delay.seconds == 0
        measuring = asyncio.create_task(delay.measure())
        await asyncio.sleep(0)
        time.sleep(INTERVAL + BLOCKED)
        assert delay.seconds >= BLOCKED  # before the timer has fired
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert delay.seconds >= BLOCKED  # and after
        async with asyncio.timeout(30):
            while delay.seconds >= BLOCKED:
                await asyncio.sleep(INTERVAL)
        measuring.cancel()

    asyncio.run(scenario())


@pytest.mark.django_db(transaction=True)
def test_a_switch_whose_loop_is_late_claims_no_calls_until_it_has_caught_up(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def during() -> None:
        async with asyncio.timeout(30):
            while "Messages and timers wait too long." not in caplog.text:
                time.sleep(INTERVAL + MAX_DELAY)
                await asyncio.sleep(0.01)
        await asyncio.to_thread(closing, partial(service.queue, b="01"))

    serve(Engine("test", SPEED), until=Call.objects.filter(state="ended").exists, during=during)
