"""Repeats final events that were not answered: after ten seconds, with pauses that grow to an hour,
for up to a day after the end of the call.

The calls' rows say what is due, so that any switch can repeat the events of any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.database.clock import DatabaseNow, database_now
from django_poketalk.server.models import Call, EventDelivery
from django_poketalk.shared.compiled import CompiledQuery
from django_poketalk.shared.logs import about_call, get_logger

from ..database_threads import DatabaseThreads
from .sender import FIRST_PAUSE, Delivery, EventSender

logger = get_logger(__name__)

LONGEST_PAUSE = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=1)  # since the end of the call
BATCH = 50  # claimed at once
MAX_SENDING = 200  # requests at once


ANY_DUE = CompiledQuery(
    lambda: (
        Call.objects.filter(final_event_due_at__lte=DatabaseNow()).order_by().values_list("pk")[:1]
    )
)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A final event that this switch sends again."""

    call: int
    account: int
    eventurl: str
    event: Event
    sequence: int


class Repeats:
    """The final events that one switch is sending again. `delivered` is called with each."""

    def __init__(
        self,
        threads: DatabaseThreads,
        sender: EventSender,
        delivered: Callable[[Delivery], None],
    ) -> None:
        self._threads = threads
        self._sender = sender
        self._delivered = delivered
        self._sending: set[asyncio.Task[None]] = set()

    async def send_due(self) -> None:
        """Claim the events that are due, and start to send them."""
        if len(self._sending) >= MAX_SENDING:
            return
        for repeat in await self._threads.run(claim):
            task = asyncio.create_task(self._send(repeat))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Stop sending. The events stay due."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _send(self, repeat: Repeat) -> None:
        try:
            delivery = await self._sender.send(
                repeat.eventurl, repeat.sequence, repeat.event, account=repeat.account
            )
            self._delivered(delivery)
            await self._threads.run(record, repeat.call, delivery)
        except Exception:
            with about_call(repeat.call, "deliver"):
                logger.exception("The final event of call %s could not be repeated.", repeat.call)


def claim() -> list[Repeat]:
    """The events that are due, each for one switch: a compare-and-set moves its next repetition.
    If the switch dies while it sends one, the next repetition makes up for it.
    """
    if not ANY_DUE.rows():
        return []
    now = database_now()
    claimed = []
    due = Call.objects.filter(final_event_due_at__lte=now).order_by("final_event_due_at")
    call: Any  # with `last`
    for call in due.annotate(last=Max("deliveries__sequence"))[:BATCH]:
        age = now - (call.ended_at or call.created_at)
        is_last = age >= GIVE_UP_AFTER
        pause = min(max(age, FIRST_PAUSE), LONGEST_PAUSE)
        ours = Call.objects.filter(pk=call.pk, final_event_due_at=call.final_event_due_at)
        if not ours.update(final_event_due_at=None if is_last else now + pause):
            continue
        if is_last:
            with about_call(call.pk, "deliver"):
                logger.warning("The final event of call %s was never answered.", call.pk)
            continue
        status = CallStatus(call.status or CallStatus.UNKNOWN)
        event = Event(status, call.custom, call.duration, call.cost)
        claimed.append(Repeat(call.pk, call.account_id, call.eventurl, event, (call.last or 0) + 1))
    return claimed


@transaction.atomic
def record(call: int, delivery: Delivery) -> None:
    """Store a repetition. If it was answered, it was the last one."""
    if delivery.is_sent:
        EventDelivery.objects.bulk_create([delivery.row(call)], ignore_conflicts=True)
    if delivery.is_answered:
        Call.objects.filter(pk=call).update(final_event_due_at=None)
