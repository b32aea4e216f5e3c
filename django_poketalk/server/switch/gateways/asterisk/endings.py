"""Makes sure that what we have made in Asterisk ends, also where a request gets no answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from . import names
from .connection import Connection, Unanswered

logger = logging.getLogger(__name__)

AGAIN = (0.5, 2.0, 5.0)  # seconds before a DELETE that went unanswered is sent again

GONE = (200, 204, 404)


class Endings:
    """What is being ended on one Asterisk, and what could not be ended yet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._under_way: set[str] = set()
        self._owed: set[str] = set()

    def __contains__(self, channel: str) -> bool:
        return channel in self._under_way

    @property
    def owed(self) -> Iterable[str]:
        """The channels that are still to be ended, and that nobody is at."""
        return self._owed - self._under_way

    async def end(self, channel: str, reason: str = "normal") -> None:
        """Put down a channel, again and again for a while. It is owed until it is over."""
        self._owed.add(channel)
        self._under_way.add(channel)
        try:
            for pause in (0.0, *AGAIN):
                await asyncio.sleep(pause)
                if await self.try_to_end(channel, reason) in GONE:
                    self._owed.discard(channel)
                    return
            logger.error("%s could not be ended in Asterisk yet.", channel)
        finally:
            self._under_way.discard(channel)

    async def try_to_end(self, channel: str, reason: str = "normal") -> int:
        """Put down a channel; the status of the answer, 0 when there is none."""
        try:
            path = f"channels/{channel}"
            status, _ = await self._connection.request("DELETE", path, {"reason": reason})
        except Unanswered:
            return 0
        return status

    async def end_bridge(self, name: str) -> None:
        """Take a bridge away. One that stays is found when the WebSocket is next opened."""
        try:
            await self._connection.request("DELETE", f"bridges/{name}")
        except Unanswered as error:
            logger.info("Bridge %s was not ended: %s.", name, error)

    async def end_call_of(self, channel: str) -> None:
        """Put down this channel, and what else there is of its call, whoever made it. It is owed
        until all of that is known to be over.
        """
        await self.end(channel)
        try:
            for other in await self._connection.listed("channels"):
                if names.are_of_one_call(channel, other):
                    await self.end(other)
            await self._connection.request("DELETE", f"bridges/{names.bridge_beside(channel)}")
        except Unanswered as error:
            logger.warning("What else there is of %s is not known yet: %s.", channel, error)
            self._owed.add(channel)
