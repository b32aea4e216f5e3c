"""Sends events to customers: EventURL GETs, in order for each call, with limits on time, size and
connections.

An endpoint that hangs, trickles, sends gigabytes or disappears delays only the events of its own
customer, and never a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from django_poketalk.protocol import eventurl
from django_poketalk.protocol.codes import HTTP_HANG_UP
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server import destinations
from django_poketalk.server.billing.rating import FREE
from django_poketalk.server.conf import settings
from django_poketalk.server.models import EventDelivery
from django_poketalk.shared.logs import get_logger
from django_poketalk.shared.text import on_one_line

from . import lookups
from .resolver import CheckedResolver, checked_socket

logger = get_logger(__name__)

# As in the protocol's example, and no others
HEADERS = {"User-Agent": "ARS 0.1", "Accept": "*/*"}
MAX_BODY = 1024  # bytes of an answer's body, which is ignored
READ_TIMEOUT = 0.25  # seconds to read a short body, so that its connection can be reused
MAX_ERROR = 200  # characters, as in the database
FIRST_PAUSE = timedelta(seconds=10)  # before a final event is sent again
TRY_AGAIN = (408, 425, 429)  # statuses of an endpoint that could not process the event now


@dataclass(frozen=True, slots=True)
class Delivery:
    """A sent event. `answer` is the HTTP status, or None with an `error`.

    If it is not `is_sent`, there was no connection for it: too many to the same host were busy.
    """

    sequence: int
    event: Event
    sent_at: datetime
    seconds: float
    answer: int | None
    error: str = ""
    lag: float = 0.0  # seconds from the event to its sending
    is_sent: bool = True

    @property
    def vetoes(self) -> bool:
        """Whether the customer ends the call with this answer."""
        return self.answer == HTTP_HANG_UP and not self.event.status.is_final

    @property
    def is_answered(self) -> bool:
        """Whether the endpoint has processed the event, or refused it for good. Server errors (5xx)
        and the statuses of `TRY_AGAIN` say that it could not.
        """
        return self.answer is not None and self.answer < 500 and self.answer not in TRY_AGAIN

    @property
    def repeated_at(self) -> datetime | None:
        """When to send it again first; None if it was answered or is not final."""
        if self.is_answered or not self.event.status.is_final:
            return None
        return self.sent_at + FIRST_PAUSE

    def row(self, call: int) -> EventDelivery:
        """The row for this call, not saved."""
        return EventDelivery(
            call_id=call,
            sequence=self.sequence,
            status=self.event.status,
            duration=self.event.duration or 0,
            cost=self.event.cost or FREE,
            sent_at=self.sent_at,
            seconds=self.seconds,
            answer=self.answer,
            error=self.error,
        )


@dataclass(slots=True)
class _Host:
    """One account's connections to one host that are free, and how many events use or await one."""

    free: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(settings.event_connections_per_host)
    )
    events: int = 0


class EventSender:
    """The HTTP client of all calls, an async context manager. `now` dates the deliveries."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._resolver: CheckedResolver | None = None
        self._hosts: dict[tuple[int, str | None, int | None], _Host] = {}

    async def __aenter__(self) -> Self:
        self._resolver = CheckedResolver()
        connector = aiohttp.TCPConnector(
            limit=0,  # no total: hanging endpoints must not use up the connections of others
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
        self,
        template: str,
        sequence: int,
        event: Event,
        since: float | None = None,
        *,
        account: int = 0,
    ) -> Delivery:
        """Request the expanded template once, for at most `event_timeout` seconds, after waiting
        for a free connection to its host for at most as long.

        Errors are reported in the delivery. Redirects are answers and are not followed. `since` is
        when the event occurred, by `time.monotonic()`. `account` has its share of name look-ups,
        and its own connections: accounts may use the same host, and one of them may let it hang.
        """
        lookups.account.set(account)
        try:
            async with self._connection_to(template, account):
                return await self._send(template, sequence, event, since)
        except TimeoutError:
            error = "All connections to this host are busy."
            return Delivery(sequence, event, self._now(), 0.0, None, error, is_sent=False)

    @contextlib.asynccontextmanager
    async def _connection_to(self, template: str, account: int) -> AsyncIterator[None]:
        """One of the account's connections to the template's host. `TimeoutError` if none becomes
        free.
        """
        try:
            url = URL(template, encoded=True)
            key = (account, url.host, url.port)
        except ValueError:  # which sending reports
            key = (account, None, None)
        host = self._hosts.setdefault(key, _Host())
        host.events += 1
        try:
            async with asyncio.timeout(settings.event_timeout):
                await host.free.acquire()
            try:
                yield
            finally:
                host.free.release()
        finally:
            host.events -= 1
            if not host.events:
                self._hosts.pop(key, None)

    async def _send(
        self, template: str, sequence: int, event: Event, since: float | None
    ) -> Delivery:
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
        self,
        sender: EventSender,
        template: str,
        delivered: Callable[[Delivery], None],
        account: int = 0,
    ) -> None:
        self._sender = sender
        self._account = account
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
                event, since = self._waiting.popleft()
                delivery = await self._sender.send(
                    self._template, self._sequence + 1, event, since, account=self._account
                )
                self._sequence += delivery.is_sent
                self._delivered(delivery)
        finally:
            self._task = None


def _ignore(delivery: Delivery) -> None:
    """Deliveries after the end of a call are not recorded."""


def _message(problem: Exception) -> str:
    """The error without the URL, which may contain a signature; staff can read this."""
    if isinstance(problem, aiohttp.ClientResponseError):
        return problem.message
    return "" if isinstance(problem, aiohttp.InvalidURL) else str(problem)
