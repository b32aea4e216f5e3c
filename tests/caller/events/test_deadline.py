"""An event is answered within a second, whatever the database does."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from django_poketalk.events import incoming, tokens
from django_poketalk.models import CallEvent, CallRequest
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.shared import deadline
from django_poketalk.views.events import RECORDING

from .test_event_view import Change, NewCall, tell


@pytest.mark.django_db(transaction=True)
class TestWithin:
    def test_results_and_exceptions_are_returned(self) -> None:
        assert RECORDING.within(5, int, "7") == 7
        with pytest.raises(ValueError, match="seven"):
            RECORDING.within(5, int, "seven")

    def test_hanging_work_times_out(self) -> None:
        release = threading.Event()
        try:
            with pytest.raises(deadline.Overdue):
                RECORDING.within(0.05, release.wait, 30)
        finally:
            release.set()

    def test_if_all_threads_hang_nobody_waits(self) -> None:
        release = threading.Event()
        try:
            for _ in range(RECORDING.threads):
                with pytest.raises(deadline.Overdue):
                    RECORDING.within(0.01, release.wait, 60)
            started = time.monotonic()
            with pytest.raises(deadline.Overdue):
                RECORDING.within(20, release.wait, 60)
            assert time.monotonic() - started < 10
        finally:
            release.set()

        # and when the database is back, so are they
        assert _eventually(lambda: RECORDING.within(5, int, "7")) == 7

    def test_the_thread_that_became_free_last_works_next(self) -> None:
        work = deadline.Deadline("poketalk-tests", threads=3, share=3)
        together = threading.Barrier(3)
        with ThreadPoolExecutor(3) as clients:
            list(clients.map(lambda _: work.within(30, together.wait, 30), range(3)))

        assert len({work.within(30, threading.get_ident) for _ in range(100)}) == 1

    def test_work_inside_a_transaction_uses_it(self) -> None:
        with transaction.atomic():
            assert RECORDING.within(5, threading.get_ident) == threading.get_ident()

        assert RECORDING.within(5, threading.get_ident) != threading.get_ident()


def _eventually(work: Any) -> Any:
    for _ in range(200):
        try:
            return work()
        except deadline.Overdue:
            time.sleep(0.05)
    return work()


def wait_until_idle() -> None:
    """Wait for work that timed out, before the tables are emptied."""
    free = RECORDING.free
    taken = [free.acquire(timeout=10) for _ in range(RECORDING.threads)]
    free.release(sum(taken))
    assert all(taken)


@pytest.mark.django_db(transaction=True)
def test_a_locked_row_does_not_delay_the_answer(client: Client, new_call: NewCall) -> None:
    call = new_call(max_duration=300, max_cost=Decimal(1))
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                CallRequest.objects.filter(pk=call.pk).update(attempts=1)
                locked.set()
                release.wait(30)
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert locked.wait(10)
        assert tell(client, call, 5, 299) == 503
        assert tell(client, call, 7, 300) == 412
    finally:
        release.set()
        holder.join()
        wait_until_idle()
    # What was recorded after all has the answer that was given.
    logged = CallEvent.objects.filter(call=call).order_by("duration")
    assert [(event.answer, bool(event.reason)) for event in logged] == [(503, True), (412, True)]


@pytest.mark.django_db
@pytest.mark.parametrize("says", ["the office is closed", ""])
def test_the_decision_of_a_slow_rule_applies_to_the_next_event_and_is_logged(
    client: Client,
    call: CallRequest,
    poketalk: Change,
    monkeypatch: pytest.MonkeyPatch,
    says: str,
) -> None:
    poketalk(VETO_RULES=[f"{__name__}.rule"])
    monkeypatch.setitem(globals(), "rule", lambda call, event: says)
    limits = tokens.Limits(call.pk, call.max_duration, call.max_cost)
    with monkeypatch.context() as patched:
        patched.setattr(deadline, "is_over", iter([False, True]).__next__)
        late = incoming.receive(limits, Event(CallStatus.B_ANSWERED), "")

    [event] = CallEvent.objects.filter(call=call)
    assert (late.status, event.answer, event.reason) == (503, 503, incoming.TOO_LATE)
    assert CallRequest.objects.get(pk=call.pk).veto_reason == says
    assert tell(client, call, 7) == (412 if says else 200)


@pytest.mark.django_db(transaction=True)
def test_events_are_not_atomic_requests(
    client: Client, new_call: NewCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = new_call()
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    threads: list[int] = []

    def receive(*args: Any) -> incoming.Reply:
        threads.append(threading.get_ident())
        return incoming.Reply(200)

    monkeypatch.setattr(incoming, "receive", receive)

    assert tell(client, call, 1) == 200
    assert len(threads) == 1
    assert threads != [threading.get_ident()], "recorded within the request's transaction"
