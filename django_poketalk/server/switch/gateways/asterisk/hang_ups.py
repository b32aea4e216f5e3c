"""Hang-ups on one Asterisk, retried until they succeed, also when a request gets no response."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from django_poketalk.shared.logs import get_logger

from . import channel_ids
from .connection import Connection, NoResponse

logger = get_logger(__name__)

RETRY_AFTER = (0.5, 2.0, 5.0)  # seconds before each further DELETE

GONE = (200, 204, 404)


class HangUps:
    """The channels to hang up that may still exist."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._unfinished: set[str] = set()
        self._running: set[str] = set()

    def __contains__(self, channel: str) -> bool:
        return channel in self._running

    @property
    def pending(self) -> Iterable[str]:
        """The channels still to hang up that no task is working on."""
        return self._unfinished - self._running

    async def hang_up(self, channel: str, reason: str = "normal") -> bool:
        """Hang up a channel. Return whether it has ended. After some failed attempts, it becomes
        `pending`.
        """
        self._unfinished.add(channel)
        self._running.add(channel)
        try:
            for pause in (0.0, *RETRY_AFTER):
                await asyncio.sleep(pause)
                if await self.try_once(channel, reason) in GONE:
                    self._unfinished.discard(channel)
                    return True
            logger.error("Channel %s could not be hung up yet.", channel)
            return False
        finally:
            self._running.discard(channel)

    async def try_once(self, channel: str, reason: str = "normal") -> int:
        """Hang up a channel. Return the status of the response, 0 for none."""
        try:
            path = f"channels/{channel}"
            status, _ = await self._connection.request("DELETE", path, {"reason": reason})
        except NoResponse:
            return 0
        return status

    async def destroy_bridge(self, bridge: str) -> None:
        """Destroy a bridge. If that fails, the next connection of the WebSocket finds it."""
        try:
            await self._connection.request("DELETE", f"bridges/{bridge}")
        except NoResponse as error:
            logger.info("Bridge %s was not destroyed: %s.", bridge, error)

    async def hang_up_call_of(self, channel: str) -> None:
        """Hang up this channel and the rest of its call, which any switch may have originated. The
        channel is `pending` until all of that is done.
        """
        await self.hang_up(channel)
        try:
            bridge = f"bridges/{channel_ids.bridge_of(channel)}"
            _, found = await self._connection.request("GET", bridge)
            # A transfer has put channels with other names into the bridge.
            bridged = found.get("channels", []) if isinstance(found, dict) else []
            for other in await self._connection.list_all("channels"):
                if other in bridged or channel_ids.same_call(channel, other):
                    await self.hang_up(other)
            await self._connection.request("DELETE", bridge)
        except NoResponse as error:
            logger.warning(
                "Cannot list the other channels of the call of %s yet: %s.", channel, error
            )
            self._unfinished.add(channel)
