"""The WebSockets of the fake Asterisk, and the events that it sends on them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSCloseCode, web

from .channels import Channel
from .fake_phones import FakePhones


@dataclass
class FakeEvents(FakePhones):
    """An application has one WebSocket at a time, and gets the events that its filter allows."""

    accepts_websockets: bool = True
    answers_pings: bool = True
    sends_events: bool = True
    sockets: dict[str, web.WebSocketResponse] = field(default_factory=dict)
    filters: dict[str, set[str]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)  # applications that it has lost
    handshakes: int = 0
    _outbox: asyncio.Queue[tuple[web.WebSocketResponse, str]] = field(default_factory=asyncio.Queue)
    _closing: list[asyncio.Future[bool]] = field(default_factory=list)

    def has_application(self, app: str) -> bool:
        """Whether its events would be sent."""
        return app in self.sockets and app not in self.removed

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        self.handshakes += 1
        if not self.accepts_websockets:
            return error(503, "Not now")
        app = request.query["app"]
        socket = web.WebSocketResponse(autoping=self.answers_pings)
        await socket.prepare(request)
        if before := self.sockets.get(app):
            await before.send_json(self._event("ApplicationReplaced", app))
            await before.close()
        self.sockets[app] = socket
        self.removed.discard(app)
        try:
            async for _message in socket:
                pass
        finally:
            if self.sockets.get(app) is socket:
                del self.sockets[app]
        return socket

    async def _find(self, request: web.Request) -> web.StreamResponse:
        app = request.match_info["app"]
        return web.json_response({"name": app}) if self.has_application(app) else error(404, "")

    async def _filter(self, request: web.Request) -> web.StreamResponse:
        app = request.match_info["app"]
        if app not in self.sockets:
            return error(404, "Application not found")
        self.filters[app] = {each["type"] for each in (await request.json())["allowed"]}
        return web.json_response({"name": app})

    def _has_socket(self, app: str) -> bool:
        return app in self.sockets

    def _send_event(self, channel: Channel, kind: str, **facts: Any) -> None:
        if kind != "Dial":
            facts["channel"] = channel.as_json()
        if kind in self.filters.get(channel.app, {kind}):
            self._send(channel.app, json.dumps(self._event(kind, channel.app, **facts)))

    def _event(self, kind: str, app: str, **facts: Any) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()
        return {
            "type": kind,
            "timestamp": now,
            "asterisk_id": "00:00:00",
            "application": app,
            **facts,
        }

    def _send(self, app: str, text: str) -> None:
        if self.sends_events and (socket := self.sockets.get(app)):
            self._outbox.put_nowait((socket, text))

    async def _post(self) -> None:
        while True:
            socket, text = await self._outbox.get()
            with contextlib.suppress(OSError):
                await socket.send_str(text)

    def _drop(self) -> None:
        for app, listener in list(self.sockets.items()):
            del self.sockets[app]
            task = asyncio.ensure_future(listener.close(code=WSCloseCode.GOING_AWAY, drain=False))
            self._closing.append(task)


def error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
