"""Ending the calls that were left behind, by other switches or by an error of our own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from ..calls import store
from ..calls.changes import Change
from ..database_threads import DatabaseThreads
from ..delivery.sender import EventSender
from ..gateways.base import BaseGateway, CallKey
from ..machine.facts_and_commands import Route
from ..monitoring.stats import Stats
from ..ownership import claims
from . import recovery
from .recovery import Orphan

logger = logging.getLogger(__name__)

AT_ONCE = 50  # calls taken over at one look


class Orphans:
    """The calls that this switch has taken over and ended, until their last event is sent."""

    def __init__(
        self,
        switch: str,
        gateways: Mapping[str, BaseGateway],
        stats: Stats,
    ) -> None:
        self._switch = switch
        self._gateways = gateways
        self._stats = stats
        self._sending: dict[CallKey, asyncio.Task[None]] = {}
        self._lapsing: set[asyncio.Task[None]] = set()
        self.left = asyncio.Event()  # set when there is one to be ended without delay

    def open(self, database: DatabaseThreads, sender: EventSender) -> None:
        """Work with these from now on."""
        self._database = database
        self._sender = sender

    def __len__(self) -> int:
        return len(self._sending)

    def keys(self) -> list[CallKey]:
        """Those whose last event is on its way."""
        return list(self._sending)

    def drop(self, key: CallKey) -> None:
        """Leave it to its new owner."""
        if sending := self._sending.get(key):
            sending.cancel()

    def leave(self, key: CallKey) -> None:
        """Leave a call of ours to be recovered like that of a dead switch."""
        task = asyncio.create_task(self._let_lapse(key))
        self._lapsing.add(task)
        task.add_done_callback(self._lapsing.discard)

    async def _let_lapse(self, key: CallKey) -> None:
        try:
            await self._database.run(claims.let_lapse, key)
        except Exception:
            logger.exception("Call %s is left to lapse by itself.", key.pk)
        self.left.set()

    async def recover(self) -> None:
        """End what was left, and begin to tell its customers."""
        self.left.clear()
        for orphan in await self._database.run(recovery.recover, self._switch, AT_ONCE):
            self._stats.recovered += 1
            for route, dialog in orphan.dialogs:
                self._put_down(orphan.key, dialog, route)
            if orphan.events:
                self._sending[orphan.key] = asyncio.create_task(self._send_last_events(orphan))

    def _put_down(self, key: CallKey, dialog: str, route: Route) -> None:
        """Whatever a gateway makes of it, the other orphans are ended too."""
        try:
            if gateway := self._gateways.get(route.kind):
                gateway.end_dialog(dialog, route)
        except Exception:
            logger.exception("A phone of call %s could not be put down.", key.pk)

    async def _send_last_events(self, orphan: Orphan) -> None:
        try:
            deliveries = tuple(
                [
                    await self._sender.send(orphan.eventurl, sequence, event)
                    for sequence, event in enumerate(orphan.events, orphan.sequence)
                ]
            )
            for delivery in deliveries:
                self._stats.delivered(delivery)
            change = Change(orphan.key, deliveries=deliveries, done=True)
            await self._database.run(store.save, [change])
        except store.LostCall:
            logger.warning("Call %s is another switch's now.", orphan.key.pk)
        except Exception:
            logger.exception("The last event of call %s could not be stored.", orphan.key.pk)
        finally:
            self._sending.pop(orphan.key, None)
