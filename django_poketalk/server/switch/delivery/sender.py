"""Sends events to customers: EventURL GETs, in order for each call, with limits on time, size and
connections.

An endpoint that hangs, trickles, sends gigabytes or disappears delays only the events of its own
customer, and never a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

import aiohttp
from django.utils import timezone
from yarl import URL

from django_poketalk.protocol import eventurl
from django_poketalk.protocol.codes import HTTP_HANG_UP
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server import destinations
from django_poketalk.server.conf import settings
from django_poketalk.shared.text import on_one_line

from .resolver import CheckedResolver, checked_socket

logger = logging.getLogger(__name__)

# As in the protocol's example, and no others
HEADERS = {"User-Agent": "ARS 0.1", "Accept": "*/*"}
MAX_BODY = 1024  # bytes of an answer's body, which is ignored
READ_TIMEOUT = 0.25  # seconds to read a short body, so that its connection can be reused
MAX_ERROR = 200  # characters, as in the database


@dataclass(frozen=True, slots=True)
class Delivery:
    """A sent event. `answer` is the HTTP status, or None with an `error`."""

    sequence: int
    event: Event
    sent_at: datetime
    seconds: float
    answer: int | None
    error: str = ""
    lag: float = 0.0  # seconds from the event to its sending

    @property
    def vetoes(self) -> bool:
        """Whether the customer ends the call with this answer."""
        return self.answer == HTTP_HANG_UP and not self.event.status.is_final


class EventSender:
    """The HTTP client of all calls, an async context manager. `now` dates the deliveries."""

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._resolver: CheckedResolver | None = None

    async def __aenter__(self) -> Self:
        self._resolver = CheckedResolver()
        connector = aiohttp.TCPConnector(
            limit=0,  # no total: hanging endpoints must not use up the connections of others
            limit_per_host=settings.event_connections_per_host,
            resolver=self._resolver,
            socket_factory=checked_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=HEADERS,
            skip_auto_headers=["Accept-Encoding"],
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=MAX_BODY,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def send(
        self, template: str, sequence: int, event: Event, since: float | None = None
    ) -> Delivery:
        """Request the expanded template once, for at most `event_timeout` seconds.

        Errors are reported in the delivery. Redirects are answers and are not followed. `since` is
        when the event occurred, by `time.monotonic()`.
        """
        sent_at, began = self._now(), time.monotonic()
        lag = 0.0 if since is None else began - since
        answer, error = None, ""
        try:
            destinations.check(template)
            answer = await self._get(eventurl.expand(template, event))
        except TimeoutError:
            error = f"No answer within {settings.event_timeout:g} seconds."
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            error = on_one_line(_message(problem) or type(problem).__name__)[:MAX_ERROR]
        except Exception as problem:  # an error in our code must not keep a call from ending
            logger.exception("Sending an event failed.")
            error = type(problem).__name__
        return Delivery(sequence, event, sent_at, time.monotonic() - began, answer, error, lag)

    async def _get(self, url: str) -> int:
        if self._session is None:
            raise RuntimeError("Use the EventSender within `async with`.")
        loop = asyncio.get_running_loop()
        until = loop.time() + settings.event_timeout
        async with asyncio.timeout_at(until):
            # Already encoded: send it unchanged.
            response = await self._session.get(URL(url, encoded=True), allow_redirects=False)
        async with response:  # only the status counts; errors in the body are ignored
            with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout_at(min(until, loop.time() + READ_TIMEOUT)):
                    await response.content.read(MAX_BODY)
            if not response.content.at_eof():
                response.close()
            return response.status


class EventQueue:
    """The events of one call, sent one at a time.

    `delivered` is called with each `Delivery`. A waiting event is replaced by a later one with the
    same status, so that a slow endpoint cannot make the queue grow.
    """

    def __init__(
        self, sender: EventSender, template: str, delivered: Callable[[Delivery], None]
    ) -> None:
        self._sender = sender
        self._template = template
        self._delivered = delivered
        self._waiting: deque[tuple[Event, float]] = deque()
        self._sequence = 0
        self._task: asyncio.Task[None] | None = None

    def put(self, event: Event, since: float | None = None) -> None:
        """Queue an event, which occurred at `since` (`time.monotonic()`; default: now)."""
        if self._waiting and self._waiting[-1][0].status is event.status:
            self._waiting.pop()
        self._waiting.append((event, time.monotonic() if since is None else since))
        if self._task is None:
            self._task = asyncio.create_task(self._send())

    def stop(self) -> None:
        """Discard waiting events, and do not call `delivered` again."""
        self._waiting.clear()
        self._delivered = _ignore
        if self._task is not None:
            self._task.cancel()

    async def _send(self) -> None:
        try:
            while self._waiting:
                self._sequence += 1
                event, since = self._waiting.popleft()
                self._delivered(
                    await self._sender.send(self._template, self._sequence, event, since)
                )
        finally:
            self._task = None


def _ignore(delivery: Delivery) -> None:
    """Deliveries after the end of a call are not recorded."""


def _message(problem: Exception) -> str:
    """The error without the URL, which may contain a signature; staff can read this."""
    if isinstance(problem, aiohttp.ClientResponseError):
        return problem.message
    return "" if isinstance(problem, aiohttp.InvalidURL) else str(problem)
