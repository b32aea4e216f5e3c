"""Hearing of queued calls and hang-ups at once, on PostgreSQL: a connection of the switch's own
that LISTENs. It is a shortcut and nothing rests on it: the switch also looks by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

from django.db import connection

from ..database.notify import CHANNEL, Notification

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0  # seconds between attempts to connect
CONNECT_WITHIN = 5.0  # seconds
PROBE = 30.0  # seconds of silence after which the connection is tried


class Listener:
    """Calls `heard` with each piece of news, and with all of them whenever it is connected (again),
    since some may have been missed.
    """

    def __init__(self, heard: Callable[[Notification], None]) -> None:
        self._heard = heard
        self.is_listening = False

    @staticmethod
    def is_possible() -> bool:
        """Whether this database sends notifications, and its driver (psycopg 3) waits for them."""
        return connection.vendor == "postgresql" and find_spec("psycopg") is not None

    async def run(self) -> None:
        """Listen until cancelled."""
        pause = FIRST_PAUSE
        while self.is_possible():
            try:
                await self._listen()
            except Exception as error:
                if self.is_listening or pause == FIRST_PAUSE:
                    why = str(error) or type(error).__name__
                    logger.warning("Not woken by the database, looks by itself: %s", why)
                pause = FIRST_PAUSE if self.is_listening else min(2 * pause, LONGEST_PAUSE)
            finally:
                self.is_listening = False
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        from psycopg import AsyncConnection, sql

        async with asyncio.timeout(CONNECT_WITHIN):
            conn: Any = await AsyncConnection.connect(autocommit=True, **_parameters())
        try:
            await conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            self.is_listening = True
            logger.info("Woken by the database.")
            self._hear(Notification)
            while True:
                async for notice in conn.notifies(timeout=PROBE):
                    self._hear(news for news in Notification if news == notice.payload)
                async with asyncio.timeout(CONNECT_WITHIN):
                    await conn.execute("SELECT 1")
        finally:
            await conn.close()

    def _hear(self, news: Iterable[Notification]) -> None:
        for each in news:
            self._heard(each)


def _parameters() -> dict[str, Any]:
    """Django's own, without what is for its kind of connection."""
    parameters: dict[str, Any] = connection.get_connection_params()
    return {
        key: value
        for key, value in parameters.items()
        if key not in ("cursor_factory", "context", "prepare_threshold", "autocommit")
    }
