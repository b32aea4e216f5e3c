"""Look-ups of names: a share for each account, and a deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from django_poketalk.server.switch.delivery import lookups
from django_poketalk.server.switch.delivery.lookups import PER_ACCOUNT, THREADS, LookUps


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends the slow look-ups."""
    event = threading.Event()
    yield event
    event.set()


async def look_up(names: LookUps, account: int, function: Any) -> Any:
    lookups.account.set(account)
    return await names.run(function)


def test_results_and_errors_are_returned() -> None:
    async def both() -> None:
        names = LookUps()
        assert await names.run(int, "7") == 7
        with pytest.raises(ValueError, match="seven"):
            await names.run(int, "seven")

    asyncio.run(both())


def test_the_slow_names_of_one_account_do_not_delay_another(
    release: threading.Event, settings: Any
) -> None:
    settings.POKETALK_SERVER = {"EVENT_TIMEOUT": 20.0}
    started: list[int] = []

    def slow() -> None:
        started.append(1)
        release.wait(30)

    async def beside() -> list[int]:
        names = LookUps()
        waiting = [asyncio.create_task(look_up(names, 1, slow)) for _ in range(THREADS * 2)]
        while len(started) < PER_ACCOUNT:
            await asyncio.sleep(0.01)
        found = [await asyncio.create_task(look_up(names, 2, lambda: 7)) for _ in range(20)]
        assert not any(task.done() for task in waiting)
        assert len(started) == PER_ACCOUNT
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return found

    assert asyncio.run(asyncio.wait_for(beside(), 15)) == [7] * 20


def test_overdue_look_ups_make_room_for_other_accounts(
    release: threading.Event, settings: Any
) -> None:
    settings.POKETALK_SERVER = {"EVENT_TIMEOUT": 1.0}

    async def all_slow_but_one() -> tuple[list[Any], int]:
        names = LookUps()
        slow = [
            asyncio.create_task(look_up(names, account, lambda: release.wait(30)))
            for account in range(1, THREADS + 1)
        ]
        results = await asyncio.gather(*slow, return_exceptions=True)
        return results, await look_up(names, 1000, lambda: 7)

    results, found = asyncio.run(asyncio.wait_for(all_slow_but_one(), 20))
    assert {type(each) for each in results} == {TimeoutError}
    assert found == 7


def test_an_overdue_look_up_keeps_its_accounts_share_until_it_ends(
    release: threading.Event, settings: Any
) -> None:
    settings.POKETALK_SERVER = {"EVENT_TIMEOUT": 0.2}

    async def again() -> Any:
        names = LookUps()
        slow = [look_up(names, 1, lambda: release.wait(30)) for _ in range(PER_ACCOUNT)]
        await asyncio.gather(*slow, return_exceptions=True)
        with pytest.raises(TimeoutError):
            await look_up(names, 1, lambda: 7)
        release.set()
        settings.POKETALK_SERVER = {"EVENT_TIMEOUT": 20.0}
        return await look_up(names, 1, lambda: 7)

    assert asyncio.run(again()) == 7
