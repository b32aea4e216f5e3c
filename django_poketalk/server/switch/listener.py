"""Receives notifications of queued calls and hang-ups from PostgreSQL. The switch also polls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from django.db import connection

from django_poketalk.shared.logs import get_logger

from ..database.notify import CHANNEL, Notification, connection_parameters

logger = get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0  # seconds between attempts to connect
CONNECT_TIMEOUT = 5.0  # seconds
PROBE_AFTER = 30.0  # seconds without a notification until the connection is tested


class Listener:
    """Sets the event of each notification. Sets all of them on every (re)connection, since
    notifications may have been missed.
    """

    def __init__(self, events: Mapping[Notification, asyncio.Event]) -> None:
        self._events = events
        self.is_listening = False

    @staticmethod
    def is_possible() -> bool:
        """Whether the database sends notifications and the driver (psycopg 3) can await them."""
        return connection.vendor == "postgresql" and find_spec("psycopg") is not None

    async def run(self) -> None:
        """Listen until canceled."""
        pause = FIRST_PAUSE
        while self.is_possible():
            try:
                await self._listen()
            except Exception as error:
                if self.is_listening or pause == FIRST_PAUSE:
                    reason = str(error) or type(error).__name__
                    logger.warning("Not listening to the database, polling only: %s", reason)
                pause = FIRST_PAUSE if self.is_listening else min(2 * pause, LONGEST_PAUSE)
            finally:
                self.is_listening = False
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        from psycopg import AsyncConnection, sql

        async with asyncio.timeout(CONNECT_TIMEOUT):
            conn: Any = await AsyncConnection.connect(autocommit=True, **connection_parameters())
        try:
            await conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            self.is_listening = True
            logger.info("Listening to the database.")
            self._set(Notification)
            while True:
                async for notify in conn.notifies(timeout=PROBE_AFTER):
                    self._set(each for each in Notification if each == notify.payload)
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await conn.execute("SELECT 1")
        finally:
            await conn.close()

    def _set(self, notifications: Iterable[Notification]) -> None:
        for notification in notifications:
            self._events[notification].set()
