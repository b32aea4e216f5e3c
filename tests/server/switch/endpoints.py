"""Endpoints of customers on loopback, with good and bad behavior."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Answer = Callable[["Endpoint", asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
VETO = b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Endpoint:
    """The requests to an endpoint, without bodies, and the number of its connections."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0

    @property
    def url(self) -> str:
        query = "webcallid=$webcallid&status=$status&duration=$duration&debit=$debit"
        return f"http://127.0.0.1:{self.port}/call_report.php?{query}"

    @property
    def paths(self) -> list[str]:
        return [head.split(" ")[1] for head in self.heads]

    @property
    def statuses(self) -> list[str]:
        return [path.partition("status=")[2].partition("&")[0] for path in self.paths]


def always(response: bytes) -> Answer:
    """An endpoint that gives every request the same response, and keeps the connection open."""

    async def answer(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
        writer.write(response)
        await writer.drain()

    return answer


async def hang(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def drip(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
    """Send the head byte by byte, without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(300):
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.1)


async def vanish(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
    writer.close()


@contextlib.asynccontextmanager
async def serve(answer: Answer) -> AsyncIterator[Endpoint]:
    """An endpoint on a free port that answers each request with `answer`."""
    endpoint = Endpoint()
    serving: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        endpoint.connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    endpoint.heads.append(head.decode("ascii"))
                    endpoint.at_once += 1
                    endpoint.most_at_once = max(endpoint.most_at_once, endpoint.at_once)
                    try:
                        await answer(endpoint, writer)
                    finally:
                        endpoint.at_once -= 1
        finally:
            writer.transport.abort()  # even with unread data
            serving.discard(task)

    listening = socket.create_server(("127.0.0.1", 0))
    endpoint.port = listening.getsockname()[1]
    server = await asyncio.start_server(connected, sock=listening)
    try:
        yield endpoint
    finally:
        await stop_listening(listening)
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # so that the last connections close


async def stop_listening(listening: socket.socket) -> None:
    """Stop accepting connections before a server is closed.

    A connection that is accepted while the server closes would never be closed.
    """
    asyncio.get_running_loop().remove_reader(listening)
    for _turn in range(5):
        await asyncio.sleep(0)
