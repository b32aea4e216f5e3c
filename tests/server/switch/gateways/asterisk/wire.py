"""A relay between the switch and a real Asterisk: it logs requests, and makes them fail."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from tests.server.switch.endpoints import stop_listening

LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)

Request = tuple[str, str, dict[str, str]]  # method, path after /ari/, query


@dataclass
class Wire:
    """`requests`: all that the switch has sent. `sockets`: the open WebSockets, by application.

    `statuses`: responses to requests that Asterisk does not receive, by method and the first part
    of the path. `unanswered`: requests whose response is lost, with its connection. `delay`:
    seconds before `POST /channels` or `POST /bridges` is passed on; `response_delay`: before the
    response to `POST /channels` is.
    """

    upstream: tuple[str, int]
    port: int = 0
    accepts_websockets: bool = True
    delay: float = 0
    response_delay: float = 0
    statuses: dict[tuple[str, str], int] = field(default_factory=dict)
    unanswered: set[tuple[str, str]] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)
    sockets: dict[str, asyncio.StreamWriter] = field(default_factory=dict)
    handshakes: int = 0

    async def listen(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._serving: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, sock=self._listening)

    def reset(self) -> None:
        """Forget all requests, and pass on all that come."""
        self.accepts_websockets = True
        self.delay = self.response_delay = self.handshakes = 0
        self.statuses, self.unanswered, self.requests = {}, set(), []

    def cut(self) -> None:
        """Cut all WebSockets."""
        for writer in self.sockets.values():
            writer.transport.abort()
        self.sockets.clear()

    async def close(self) -> None:
        await stop_listening(self._listening)
        self._server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.sleep(0)  # so that the last connections close

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        closing = contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with closing:
            try:
                there, back = await asyncio.open_connection(*self.upstream)
            except OSError:  # Asterisk is not running
                writer.transport.abort()
                return
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = LENGTH.search(head)
                    body = await reader.readexactly(int(length[1])) if length else b""
                    await self._pass(head, body, (reader, writer), (there, back))
            finally:
                back.transport.abort()
                writer.transport.abort()

    async def _pass(
        self,
        head: bytes,
        body: bytes,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        method, target, _ = head.decode().split(" ", 2)
        url = urlsplit(target)
        path, query = url.path.removeprefix("/ari/"), dict(parse_qsl(url.query))
        kind = (method, path.split("/")[0])
        self.requests.append((method, path, query))
        is_websocket = kind == ("GET", "events")
        self.handshakes += is_websocket
        status = 503 if is_websocket and not self.accepts_websockets else self.statuses.get(kind)
        if status:
            error = b'{"error": "Set by the test"}'
            near[1].write(
                f"HTTP/1.1 {status} Error\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(error)}\r\n\r\n".encode()
                + error
            )
            return
        if kind in (("POST", "channels"), ("POST", "bridges")):
            await asyncio.sleep(self.delay)
        far[1].write(head + body)
        if is_websocket:
            await self._tunnel(query["app"], near, far)
            return
        response = await far[0].readuntil(b"\r\n\r\n")
        length = LENGTH.search(response)
        if length and b" 204 " not in response.split(b"\r\n")[0] + b" ":
            response += await far[0].readexactly(int(length[1]))
        if kind == ("POST", "channels"):
            await asyncio.sleep(self.response_delay)
        if kind in self.unanswered:
            near[1].transport.abort()
        near[1].write(response)

    async def _tunnel(
        self,
        app: str,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.sockets[app] = near[1]
        copying = [
            asyncio.ensure_future(_copy(near[0], far[1])),
            asyncio.ensure_future(_copy(far[0], near[1])),
        ]
        try:
            await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in copying:
                task.cancel()
            await asyncio.gather(*copying, return_exceptions=True)
            if self.sockets.get(app) is near[1]:
                del self.sockets[app]
        raise ConnectionResetError  # the connection serves no further request


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
