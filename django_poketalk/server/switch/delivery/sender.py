"""Events to customers: EventURL GETs, in order for each call, bounded in time, size and number.

A customer's endpoint may hang, drip, send gigabytes or vanish; nobody but that customer's own
events waits for it, and no call ever does.
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
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server import destinations
from django_poketalk.server.conf import settings
from django_poketalk.shared.text import on_one_line

from .resolver import CheckedResolver, checked_socket

logger = logging.getLogger(__name__)

# As on the seed's wire, and nothing else that aiohttp would say of itself.
HEADERS = {"User-Agent": "ARS 0.1", "Accept": "*/*"}
VETO = 412
MOST_READ = 1024  # bytes of an answer's body, which nobody looks at
READ_WITHIN = 0.25  # seconds: a short body is read so that its connection can be used again
LONGEST_ERROR = 200  # characters, as the column


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as it was sent. `answer` is the HTTP status, or None with the `error` instead."""

    sequence: int
    event: Event
    sent_at: datetime
    seconds: float
    answer: int | None
    error: str = ""
    lag: float = 0.0  # seconds from when it came true to when it was sent

    @property
    def vetoes(self) -> bool:
        """Whether the customer wants the call ended."""
        return self.answer == VETO and not self.event.status.is_final


class EventSender:
    """One HTTP client for all calls. An asynchronous context manager. `now` is the time of day that
    deliveries are dated by.
    """

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._resolver: CheckedResolver | None = None

    async def __aenter__(self) -> Self:
        self._resolver = CheckedResolver()
        connector = aiohttp.TCPConnector(
            limit=0,  # in all: one customer's hanging endpoints must not use up the others' share
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
            read_bufsize=MOST_READ,
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
        """Request the expanded template once, which takes `event_timeout` seconds at most.

        Whatever happens is told by the delivery. A redirect is an answer, and not followed. `since`
        is when the event came true, by `time.monotonic()`.
        """
        sent_at, begun = self._now(), time.monotonic()
        lag = 0.0 if since is None else begun - since
        answer, error = None, ""
        try:
            destinations.check(template)
            answer = await self._get(eventurl.expand(template, event))
        except TimeoutError:
            error = f"No answer within {settings.event_timeout:g} seconds."
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            error = on_one_line(_words(problem) or type(problem).__name__)[:LONGEST_ERROR]
        except Exception as problem:  # the final event of a call must not hang on our mistake
            logger.exception("An event could not be sent.")
            error = type(problem).__name__
        return Delivery(sequence, event, sent_at, time.monotonic() - begun, answer, error, lag)

    async def _get(self, url: str) -> int:
        if self._session is None:
            raise RuntimeError("An EventSender is used within `async with`.")
        loop = asyncio.get_running_loop()
        until = loop.time() + settings.event_timeout
        async with asyncio.timeout_at(until):
            # Encoded already, and to be sent as it is: not to be normalised.
            response = await self._session.get(URL(url, encoded=True), allow_redirects=False)
        async with response:  # its status stands, whatever becomes of the body
            with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout_at(min(until, loop.time() + READ_WITHIN)):
                    await response.content.read(MOST_READ)
            if not response.content.at_eof():
                response.close()
            return response.status


class EventQueue:
    """The events of one call: sent one after the other, each when the last one has its answer.

    `delivered` is called with each `Delivery`. While an event waits behind a slow endpoint, a later
    tick of the same status takes its place, so that a queue never grows.
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
        """Send the event, which came true at `since` (`time.monotonic()`, now if left out), when
        its turn comes.
        """
        if self._waiting and self._waiting[-1][0].status is event.status:
            self._waiting.pop()
        self._waiting.append((event, time.monotonic() if since is None else since))
        if self._task is None:
            self._task = asyncio.create_task(self._send())

    def stop(self) -> None:
        """Send nothing any more, and let go of who wanted to know."""
        self._waiting.clear()
        self._delivered = _to_nobody
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


def _to_nobody(delivery: Delivery) -> None:
    """What comes after the end of a call is nobody's news."""


def _words(problem: Exception) -> str:
    """What went wrong, without the URL: it may hold a signature, and staff read this."""
    if isinstance(problem, aiohttp.ClientResponseError):
        return problem.message
    return "" if isinstance(problem, aiohttp.InvalidURL) else str(problem)
