"""Recovers abandoned calls, other switches' or after an error here; sends their final events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from django_poketalk.shared.logs import about_call, get_logger

from ..calls import store
from ..calls.changes import Change
from ..database_threads import DatabaseThreads
from ..delivery.sender import EventSender
from ..gateways.base import BaseGateway, CallKey
from ..monitoring.stats import Stats
from ..ownership import claims
from . import recovery
from .recovery import Orphan

logger = get_logger(__name__)

BATCH = 50  # calls taken over at once


class Orphans:
    """The calls that this switch has recovered, until their final event is sent."""

    def __init__(
        self,
        switch: str,
        threads: DatabaseThreads,
        sender: EventSender,
        gateways: Mapping[str, BaseGateway],
        stats: Stats,
    ) -> None:
        self._switch = switch
        self._threads = threads
        self._sender = sender
        self._gateways = gateways
        self._stats = stats
        self._sending: dict[CallKey, asyncio.Task[None]] = {}
        self._lapsing: set[asyncio.Task[None]] = set()
        self.abandoned = asyncio.Event()  # set when a call of this switch is to be recovered

    def __len__(self) -> int:
        return len(self._sending)

    def keys(self) -> list[CallKey]:
        """The calls whose final event is being sent."""
        return list(self._sending)

    def drop(self, key: CallKey) -> None:
        """Leave the call to its new owner."""
        if sending := self._sending.get(key):
            sending.cancel()

    def abandon(self, key: CallKey) -> None:
        """Leave a call of this switch to recovery, as if the switch had died."""
        task = asyncio.create_task(self._let_lapse(key))
        self._lapsing.add(task)
        task.add_done_callback(self._lapsing.discard)

    async def _let_lapse(self, key: CallKey) -> None:
        try:
            await self._threads.run(claims.let_lapse, key)
        except Exception:
            logger.exception("Call %s cannot be recovered before its lease lapses.", key.pk)
        self.abandoned.set()

    async def recover(self) -> None:
        """End abandoned calls, hang up their legs and start to send their events."""
        self.abandoned.clear()
        for orphan in await self._threads.run(recovery.recover, self._switch, BATCH):
            self._stats.recovered += 1
            self._hang_up(orphan)
            if orphan.events:
                with about_call(orphan.key.pk, "recover"):
                    task = asyncio.create_task(self._send_last_events(orphan))
                self._sending[orphan.key] = task

    def _hang_up(self, orphan: Orphan) -> None:
        """Errors of a gateway must not affect other calls."""
        for route, dialog in orphan.dialogs:
            with about_call(orphan.key.pk, "recover"):
                try:
                    if gateway := self._gateways.get(route.kind):
                        gateway.end_dialog(dialog, route)
                except Exception:
                    logger.exception("Hanging up a leg of call %s failed.", orphan.key.pk)

    async def _send_last_events(self, orphan: Orphan) -> None:
        try:
            deliveries = tuple(
                [
                    await self._sender.send(
                        orphan.eventurl, sequence, event, account=orphan.account
                    )
                    for sequence, event in enumerate(orphan.events, orphan.sequence)
                ]
            )
            for delivery in deliveries:
                self._stats.count_delivery(delivery)
            change = Change(orphan.key, deliveries=deliveries, done=True)
            await self._threads.run(store.save, [change])
        except store.LostCall:
            logger.warning("Call %s: lost to another switch.", orphan.key.pk)
        except Exception:
            logger.exception("The final event of call %s could not be stored.", orphan.key.pk)
        finally:
            self._sending.pop(orphan.key, None)
