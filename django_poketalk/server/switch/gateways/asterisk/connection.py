"""The way to one Asterisk: requests by HTTP, and one WebSocket that tells what happens."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

logger = logging.getLogger(__name__)

ANSWER_WITHIN = 5.0  # seconds for a request, and for the WebSocket's handshake
CONNECT_WITHIN = 3.0
CLOSE_WITHIN = 1.0
HEARTBEAT = 10.0  # seconds between pings; without a pong for half as long, the WebSocket is lost
KEEP = 5.0  # seconds that an idle connection is kept: less than Asterisk keeps it (15)
AT_ONCE = 20  # connections: Asterisk takes 100 (sessionlimit), of all who share it
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # seconds before the WebSocket is opened again

# Without a filter, Asterisk tells ten times as much.
EVENTS = ("StasisStart", "StasisEnd", "ChannelStateChange", "ChannelDestroyed", "Dial")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an Asterisk is, who we are there, and what our applications are named after."""

    url: str
    username: str
    password: str = field(repr=False)
    application: str

    @property
    def root(self) -> str:
        """What all requests begin with. A prefix of its http.conf is in `url`; a trailing `/ari`
        is taken for what it is.
        """
        return f"{self.url.rstrip('/').removesuffix('/ari')}/ari"


class Listener(Protocol):
    """Whoever wants to know. All are called in the event loop, events in the order in which
    Asterisk told them.
    """

    async def connected(self) -> None:
        """The WebSocket is open, and nothing has been read from it yet."""

    def lost(self) -> None:
        """It is not open any more; events may be missed from now on."""

    def event(self, event: Json) -> None:
        """Something happened."""


class Unanswered(Exception):
    """No answer has come. `sent`: the request may have been carried out all the same; `late`: it
    may still be.
    """

    def __init__(self, why: str, *, sent: bool, late: bool = False) -> None:
        super().__init__(why)
        self.sent, self.late = sent, late


class Connection:
    """Kept open until `close()`, opened again whenever it is lost. Each request is made once."""

    def __init__(self, address: Address, application: str, listener: Listener) -> None:
        self.address = address
        self.is_up = False
        self._application = application
        self._listener = listener
        self._tried = asyncio.Event()
        self._reason = ""
        credentials = f"{address.username}:{address.password}".encode()
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Basic {base64.b64encode(credentials).decode('ascii')}"},
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN, sock_connect=CONNECT_WITHIN),
            connector=aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=KEEP),
        )
        self._running = asyncio.create_task(self._run())

    async def ready(self) -> bool:
        """Whether it is open; waits for the first try, and for no other."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await self._tried.wait()
        except TimeoutError:
            return False
        return self.is_up

    async def request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str | int] | None = None,
        body: Json | None = None,
    ) -> tuple[int, Any]:
        """The status of the answer, and what is in it (None where that is no JSON). `Unanswered`
        when there is none.
        """
        try:
            async with self._session.request(
                method,
                f"{self.address.root}/{path}",
                params=parameters,
                json=body,
                allow_redirects=False,
            ) as response:
                return response.status, _parsed(await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unanswered(_told(error), sent=False) from error
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            late = isinstance(error, TimeoutError)
            raise Unanswered(_told(error), sent=True, late=late) from error

    async def listed(self, what: str) -> dict[str, Json]:
        """All `channels` or `bridges` that there are, by their names; `Unanswered` when that does
        not get through.
        """
        status, found = await self.request("GET", what)
        if status != 200 or not isinstance(found, list):
            raise Unanswered(f"HTTP {status} for the list of {what}", sent=True)
        return {str(each.get("id")): each for each in found if isinstance(each, dict)}

    async def close(self) -> None:
        """Let go of it."""
        self._running.cancel()
        await asyncio.wait([self._running])
        await self._session.close()

    async def _run(self) -> None:
        pause = FIRST_PAUSE / 2
        while True:
            try:
                await self._listen()
                was_up = self._down("it was closed")
            except aiohttp.WSServerHandshakeError as error:
                hint = ": user name or password" if error.status == 401 else ""
                was_up = self._down(f"HTTP {error.status}{hint}")
            except (Unanswered, aiohttp.ClientError, OSError) as error:
                was_up = self._down(_told(error))
            except Exception:
                logger.exception("%s: goes on after an error.", self.address.url)
                was_up = self._down("an error")
            pause = FIRST_PAUSE if was_up else min(2 * pause, LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311

    async def _listen(self) -> None:
        async with asyncio.timeout(ANSWER_WITHIN):
            socket = await self._session.ws_connect(
                f"{self.address.root}/events",
                params={"app": self._application},
                heartbeat=HEARTBEAT,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_WITHIN),
            )
        async with socket:
            await self._filter()
            await self._listener.connected()
            self._up()
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(message.data)

    async def _filter(self) -> None:
        path = f"applications/{self._application}/eventFilter"
        allowed = [{"type": name} for name in EVENTS]
        status, _ = await self.request("PUT", path, body={"allowed": allowed})
        if status >= 300:  # as older versions do; all there is to hear is then told
            logger.info("%s: no event filter: HTTP %d.", self.address.url, status)

    def _take(self, text: str) -> None:
        event = _parsed(text)
        if not isinstance(event, dict):
            logger.warning("%s told something that is no event.", self.address.url)
            return
        try:
            self._listener.event(event)
        except Exception:
            logger.exception("%s: an event could not be taken.", self.address.url)

    def _up(self) -> None:
        self.is_up, self._reason = True, ""
        self._tried.set()
        logger.info("Asterisk at %s is up, for %s.", self.address.url, self._application)

    def _down(self, reason: str) -> bool:
        """Whether it was up before."""
        was_up, self.is_up = self.is_up, False
        self._tried.set()
        if reason != self._reason:
            logger.warning("Asterisk at %s is down: %s.", self.address.url, reason)
        self._reason = reason
        if was_up:
            self._listener.lost()
        return was_up


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _told(error: Exception) -> str:
    """What went wrong, without the address that was asked for: that may have a number in it."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return str(error.os_error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) if isinstance(error, Unanswered) else type(error).__name__
