"""The connection to one Asterisk: requests by HTTP, and one WebSocket for events."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from django_poketalk.shared.logs import get_logger

from . import redirections

logger = get_logger(__name__)

RESPONSE_TIMEOUT = 5.0  # seconds, for a request and for the WebSocket's handshake
CONNECT_TIMEOUT = 3.0
CLOSE_TIMEOUT = 1.0
HEARTBEAT = 10.0  # seconds between pings; without a pong within half of it, the WebSocket is lost
CHECK_EVERY = 4.0  # seconds between checks that Asterisk still has our application
KEEP_ALIVE = 5.0  # seconds that an idle connection stays open; Asterisk closes it after 15
MAX_CONNECTIONS = 20  # Asterisk accepts 100 (sessionlimit) from all its clients
MIN_PAUSE, MAX_PAUSE = 0.5, 15.0  # seconds before the WebSocket is reopened

# Without a filter, Asterisk sends ten times as many events.
EVENTS = (
    "StasisStart",
    "StasisEnd",
    "ChannelStateChange",
    "ChannelHangupRequest",
    "ChannelDestroyed",
    "Dial",
    *redirections.EVENTS,
)

NOT_FOUND = 404

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Address:
    """An Asterisk: its URL, our user there, and the prefix of our applications' names."""

    url: str
    username: str
    password: str = field(repr=False)
    application: str

    @property
    def root(self) -> str:
        """The URL of ARI. A prefix from http.conf is part of `url`, which may end with `/ari`."""
        return f"{self.url.rstrip('/').removesuffix('/ari')}/ari"


class Listener(Protocol):
    """Called in the event loop, with events in Asterisk's order."""

    async def on_connected(self) -> None:
        """The WebSocket is open, and no event has been read yet."""

    def on_disconnected(self) -> None:
        """The WebSocket is lost: events may be missed from now on."""

    def on_event(self, event: Json) -> None:
        """Asterisk has sent an event."""


class NoResponse(Exception):
    """No response to a request. Asterisk may have executed it (`sent`), or still may (`late`)."""

    def __init__(self, reason: str, *, sent: bool, late: bool = False) -> None:
        super().__init__(reason)
        self.sent, self.late = sent, late


class Connection:
    """Reopens the WebSocket whenever it is lost, until `close`. Never repeats a request."""

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
            timeout=aiohttp.ClientTimeout(total=RESPONSE_TIMEOUT, sock_connect=CONNECT_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE),
        )
        self._running = asyncio.create_task(self._run())

    @property
    def problem(self) -> str | None:
        """Why the WebSocket is not open; "" if it is; None before the first attempt."""
        return "" if self.is_up else self._reason or None

    async def wait_until_up(self) -> bool:
        """Whether the WebSocket is open, after the first attempt to open it."""
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT):
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
        """Send a request. Returns the response's status and JSON, if any. Raises `NoResponse`."""
        try:
            async with self._session.request(
                method,
                f"{self.address.root}/{path}",
                params=parameters,
                json=body,
                allow_redirects=False,
            ) as response:
                return response.status, _parse(await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NoResponse(_reason(error), sent=False) from error
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            late = isinstance(error, TimeoutError)
            raise NoResponse(_reason(error), sent=True, late=late) from error

    async def list_all(self, resource: str) -> dict[str, Json]:
        """All `channels` or `bridges` of this Asterisk, by id. Raises `NoResponse`."""
        status, found = await self.request("GET", resource)
        if status != 200 or not isinstance(found, list):
            raise NoResponse(f"HTTP {status} for the list of {resource}", sent=True)
        return {str(each.get("id")): each for each in found if isinstance(each, dict)}

    async def close(self) -> None:
        """Close the WebSocket and all connections."""
        self._running.cancel()
        await asyncio.wait([self._running])
        await self._session.close()

    async def _run(self) -> None:
        pause = MIN_PAUSE / 2
        while True:
            try:
                await self._listen()
                reason = "the WebSocket was closed"
            except (NoResponse, aiohttp.ClientError, OSError) as error:
                reason = _reason(error)
            except Exception:
                logger.exception("%s: reconnecting after an error.", self.address.url)
                reason = "an error"
            pause = MIN_PAUSE if self.is_up else min(2 * pause, MAX_PAUSE)
            self._set_down(reason)
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311

    async def _listen(self) -> None:
        async with asyncio.timeout(RESPONSE_TIMEOUT):
            socket = await self._session.ws_connect(
                f"{self.address.root}/events",
                params={"app": self._application},
                heartbeat=HEARTBEAT,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
            )
        async with socket:
            if (status := await self._find_application()) != 200:
                raise NoResponse(f"HTTP {status} for our application", sent=True)
            await self._filter_events()
            await self._listener.on_connected()
            self._set_up()
            checking = asyncio.create_task(self._check(socket))
            try:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self._on_message(message.data)
            finally:
                checking.cancel()

    async def _check(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Close the WebSocket when Asterisk has removed our application.

        It does so when it notices the end of the previous WebSocket only after the next one was
        opened, which stays open, without events.
        """
        while True:
            await asyncio.sleep(CHECK_EVERY)
            with contextlib.suppress(NoResponse):
                if await self._find_application() == NOT_FOUND:
                    logger.warning("%s: Asterisk has removed our application.", self.address.url)
                    await socket.close()

    async def _find_application(self) -> int:
        status, _ = await self.request("GET", f"applications/{self._application}")
        return status

    async def _filter_events(self) -> None:
        path = f"applications/{self._application}/eventFilter"
        allowed = [{"type": name} for name in EVENTS]
        status, _ = await self.request("PUT", path, body={"allowed": allowed})
        if status >= 300:  # an older version, which sends all events
            logger.info("%s: no event filter: HTTP %d.", self.address.url, status)

    def _on_message(self, text: str) -> None:
        event = _parse(text)
        if not isinstance(event, dict):
            logger.warning("%s: received a message that is not an event.", self.address.url)
            return
        try:
            self._listener.on_event(event)
        except Exception:
            logger.exception("%s: cannot handle an event.", self.address.url)

    def _set_up(self) -> None:
        self.is_up, self._reason = True, ""
        self._tried.set()
        logger.info("Asterisk at %s is up, for %s.", self.address.url, self._application)

    def _set_down(self, reason: str) -> None:
        was_up, self.is_up = self.is_up, False
        self._tried.set()
        if reason != self._reason:
            logger.warning("Asterisk at %s is down: %s.", self.address.url, reason)
        self._reason = reason
        if was_up:
            self._listener.on_disconnected()


def _parse(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    """The error as text, without the URL of the request, which may contain a phone number."""
    match error:
        case aiohttp.WSServerHandshakeError(status=401):
            return "HTTP 401: wrong user name or password"
        case aiohttp.WSServerHandshakeError():
            return f"HTTP {error.status}"
        case aiohttp.ClientConnectorError():
            return str(error.os_error)
        case TimeoutError():
            return "no response in time"
        case NoResponse():
            return str(error)
    return type(error).__name__
