"""Final events are repeated until they are answered."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.database.clock import database_now
from django_poketalk.server.models import Call, EventDelivery
from django_poketalk.server.switch.delivery import repeats
from django_poketalk.server.switch.delivery.sender import Delivery
from django_poketalk.server.switch.engine import Engine

from ..conftest import SPEED, Service, closing, ended, eventually, serve, serving
from ..customer import Customer, EventQuery

DAY = timedelta(days=1)


def delivery(answer: int | None, status: int = 8) -> Delivery:
    return Delivery(1, Event(CallStatus(status), "web1", 5), database_now(), 0.1, answer)


@pytest.mark.parametrize(
    ("answer", "is_answered"),
    [
        *((status, True) for status in (200, 204, 302, 404, 412)),
        *((status, False) for status in (None, 408, 425, 429, 500, 503)),
    ],
)
@pytest.mark.django_db
def test_which_answers_end_the_repetitions(answer: int | None, is_answered: bool) -> None:
    assert delivery(answer).is_answered is is_answered
    assert (delivery(answer).repeated_at is None) is is_answered
    assert delivery(answer, status=7).repeated_at is None  # others are sent once


def final(customer: Customer) -> list[dict[str, str]]:
    return [event for event in customer.events if event["status"] == "8"]


def make_due() -> bool:
    """Let the time until the next repetition pass."""
    due = Call.objects.filter(final_event_due_at__isnull=False)
    return bool(due.update(final_event_due_at=database_now() - timedelta(seconds=1)))


def test_another_switch_repeats_a_final_event_until_it_is_answered(service: Service) -> None:
    answers = iter([503, 500, 200])

    def answer(event: EventQuery) -> int:
        return next(answers) if event["status"] == "8" else 200

    with Customer(status=answer) as customer:
        call = service.queue(b="19", eventurl=customer.eventurl)
        serve(Engine("first", SPEED), until=ended(call))
        call.refresh_from_db()
        assert call.final_event_due_at is not None
        assert timedelta(0) < call.final_event_due_at - database_now() < timedelta(seconds=11)
        assert len(final(customer)) == 1

        async def repeat() -> None:
            for sent in (2, 3):
                assert await asyncio.to_thread(closing, make_due)
                await eventually(
                    lambda sent=sent: EventDelivery.objects.filter(status=8).count() == sent
                )

        serve(
            Engine("second", SPEED),
            until=lambda: not Call.objects.filter(final_event_due_at__isnull=False).exists(),
            during=repeat,
        )
        assert not make_due()
    assert len(final(customer)) == 3
    assert final(customer)[0] == final(customer)[1] == final(customer)[2]
    rows = list(call.deliveries.values_list("sequence", "status", "answer"))
    assert [row[1:] for row in rows[-3:]] == [(8, 503), (8, 500), (8, 200)]
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))


def test_only_final_events_are_repeated(service: Service) -> None:
    with Customer(status=lambda event: 200 if event["status"] == "8" else 503) as customer:
        call = service.queue(b="19", eventurl=customer.eventurl)
        serve(Engine("test", SPEED), until=ended(call))
        call.refresh_from_db()
        assert call.final_event_due_at is None
    assert customer.statuses() == sorted(customer.statuses())


def test_the_final_event_of_a_lost_call_is_repeated_too(service: Service) -> None:
    with Customer(status=lambda event: 503) as customer:
        call = service.queue(eventurl=customer.eventurl)
        lapsed = database_now() - timedelta(minutes=1)
        Call.objects.update(
            state="active", status=1, switch="gone", fence=1, lease_until=lapsed, seen_at=lapsed
        )
        serve(Engine("test", SPEED), until=ended(call))
        call.refresh_from_db()
    assert call.final_event_due_at is not None


def ended_call(service: Service, age: timedelta) -> Call:
    call = service.queue(eventurl="http://127.0.0.1:8000/?status=$status")
    now = database_now()
    Call.objects.update(
        state="ended", status=8, held=0, ended_at=now - age, final_event_due_at=now - age / 100
    )
    call.refresh_from_db()
    return call


@pytest.mark.parametrize(
    ("age", "pause"),
    [(1, 10), (15, 15), (600, 600), (3000, 3000), (7200, 3600), (86000, 3600)],
)
def test_the_pauses_grow_up_to_an_hour(service: Service, age: int, pause: int) -> None:
    call = ended_call(service, timedelta(seconds=age))
    [repeat] = repeats.claim()
    assert (repeat.call, repeat.account, repeat.sequence) == (call.pk, service.account.pk, 1)
    call.refresh_from_db()
    assert call.final_event_due_at is not None
    left = (call.final_event_due_at - database_now()).total_seconds()
    assert left == pytest.approx(pause, abs=5)
    assert repeats.claim() == []  # one switch repeats it


def test_after_a_day_the_event_is_given_up(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    call = ended_call(service, DAY)
    assert repeats.claim() == []
    call.refresh_from_db()
    assert call.final_event_due_at is None
    assert "was never answered" in caplog.text


def test_of_two_switches_one_repeats_an_event(service: Service, monkeypatch: Any) -> None:
    ended_call(service, timedelta(minutes=1))
    first: list[repeats.Repeat] = []
    now = repeats.database_now

    def claimed_by_another_meanwhile() -> Any:
        monkeypatch.setattr(repeats, "database_now", now)
        first.extend(repeats.claim())
        return now()

    rows = list(Call.objects.all())
    monkeypatch.setattr(repeats, "database_now", claimed_by_another_meanwhile)
    assert repeats.claim() == []
    assert [each.call for each in first] == [rows[0].pk]


def test_a_stopping_switch_leaves_the_event_due(service: Service) -> None:
    with Customer() as customer:
        customer.slow = True
        call = ended_call(service, timedelta(minutes=1))
        Call.objects.update(eventurl=customer.eventurl)

        async def stop_while_sending() -> None:
            engine = Engine("test", SPEED)
            await serving(engine, until=lambda: len(customer.events) == 1)

        asyncio.run(stop_while_sending())
        call.refresh_from_db()
        assert call.final_event_due_at is not None
