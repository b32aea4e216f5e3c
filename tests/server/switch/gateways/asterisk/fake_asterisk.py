"""A small Asterisk: the REST interface as documented, with simulated phones.

It runs in its own thread. Its public methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from tests.server.switch.endpoints import stop_listening

from .channels import Channel, Phone
from .fake_dialplans import FakeDialplans
from .fake_events import FakeEvents, error
from .fake_phones import bridge_json
from .fake_transfers import FakeTransfers

REASONS = {"normal": 16, "busy": 17, "congestion": 34, "no_answer": 19}


@dataclass
class FakeAsterisk(FakeTransfers, FakeDialplans, FakeEvents):
    """The state of the fake, and options that make it fail.

    `phones` by the last two digits of a number; others answer and stay on the line.
    `response_delay`: seconds before the response to `POST /channels`, after creating the channel;
    `delay`: seconds before that request, or `POST /bridges`, is executed. `statuses`: responses to
    requests that are not executed, by method and the first part of the path. `unanswered`: requests
    that are executed, but get no response.
    """

    user: ClassVar[str] = "poketalk"
    password: ClassVar[str] = "correct horse & battery"

    port: int = 0
    prefix: str = ""
    phones: dict[str, Phone] = field(default_factory=dict)
    response_delay: float = 0
    delay: float = 0
    statuses: dict[tuple[str, str], int] = field(default_factory=dict)
    unanswered: set[tuple[str, str]] = field(default_factory=set)
    refuses_dtmf: bool = False
    refuses_dial: int = 0  # the status
    tone_delay: float = 0
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bridged: list[frozenset[str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    def requests_to(self, method: str, path: str) -> list[dict[str, str]]:
        """The queries of all requests to this path."""
        return [query for m, p, query in self.requests if (m, p) == (method, path)]

    def channels_to(self, ending: str) -> list[Channel]:
        """All channels to the phone with these last digits, also those that have ended."""
        return [each for each in self.all_channels.values() if each.ending == ending]

    def drop_websockets(self, *, refuse: bool = False) -> None:
        """Close all WebSockets; with `refuse`, accept none until `accepts_websockets` is set."""
        self.accepts_websockets = not refuse
        self._do(self._drop)

    def pick_up(self, channel: Channel) -> None:
        self._do(self._answer, channel)

    def hang_up(self, channel: Channel, cause: int = 16) -> None:
        self._do(self._destroy, channel, cause)

    def transfer(self, channel: Channel, ending: str, *, attended: bool = False) -> None:
        """The phone transfers the other phone to the one with these last digits."""
        self._do(self._transfer, channel, ending, attended)

    def move(self, channel: Channel) -> None:
        """Move a channel to the dialplan, as another program could."""
        self._do(self._leave_stasis, channel)

    def originate(self, endpoint: str, app: str) -> None:
        """Ring a phone for this application, as another program could."""
        channel = Channel("another", endpoint, {"app": app})
        self.channels[channel.id] = self.all_channels[channel.id] = channel
        self._do(self._ring, channel)

    def restart(self) -> None:
        """Lose all channels and bridges without an event, as a restart does."""
        self._do(self._forget)

    def send(self, app: str, text: str) -> None:
        """Send this text on the WebSocket."""
        self._do(lambda: self._send(app, text))

    # HTTP

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        root = f"{self.prefix}/ari"
        app.router.add_get(f"{root}/events", self._listen)
        app.router.add_get(f"{root}/applications/{{app}}", self._find)
        app.router.add_put(f"{root}/applications/{{app}}/eventFilter", self._filter)
        app.router.add_post(f"{root}/applications/{{app}}/subscription", self._subscribe)
        app.router.add_get(f"{root}/channels", self._list_channels)
        app.router.add_post(f"{root}/channels", self._originate)
        app.router.add_delete(f"{root}/channels/{{id}}", self._hang_up)
        app.router.add_post(f"{root}/channels/create", self._originate)
        app.router.add_post(f"{root}/channels/{{id}}/dial", self._dial)
        app.router.add_post(f"{root}/channels/{{id}}/ring", self._play_tone)
        app.router.add_delete(f"{root}/channels/{{id}}/ring", self._stop_tone)
        app.router.add_post(f"{root}/channels/{{id}}/dtmf", self._send_dtmf)
        app.router.add_get(f"{root}/bridges", self._list_bridges)
        app.router.add_post(f"{root}/bridges", self._make_bridge)
        app.router.add_post(f"{root}/bridges/{{id}}/addChannel", self._add_channel)
        app.router.add_get(f"{root}/bridges/{{id}}", self._get_bridge)
        app.router.add_delete(f"{root}/bridges/{{id}}", self._end_bridge)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")
        if request.headers.get("Authorization") != f"Basic {expected}":
            return error(401, "Unauthorized")
        path = request.path.removeprefix(f"{self.prefix}/ari/")
        self.requests.append((request.method, path, dict(request.query)))
        kind = (request.method, path.split("/")[0])
        if kind in self.statuses:
            return error(self.statuses[kind], "Set by the test")
        answer: web.StreamResponse = await handler(request)
        if kind in self.unanswered and request.transport is not None:
            request.transport.abort()
        return answer

    async def _list_channels(self, request: web.Request) -> web.StreamResponse:
        return web.json_response([channel.as_json() for channel in self.channels.values()])

    async def _list_bridges(self, request: web.Request) -> web.StreamResponse:
        return web.json_response([bridge_json(*bridge) for bridge in self.bridges.items()])

    async def _originate(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.delay)
        query = dict(request.query)
        endpoint, name = query.get("endpoint", ""), query.get("channelId", "")
        if not endpoint:
            return error(400, "Endpoint must be specified")
        if "app" not in query:
            return error(400, "Application or extension must be specified")
        if "originator" in query and query["originator"] not in self.channels:
            return error(400, "Provided originator channel was not found")
        if name in self.channels:
            return error(409, "Channel with given unique ID already exists")
        if "/" not in endpoint:
            return error(400, "Invalid endpoint specified")
        if not endpoint.endswith(("@trunk", "/n")):
            return error(500, "Allocation failed")
        channel = Channel(name, endpoint, query)
        channel.phone = self.phones.get(channel.ending, channel.phone)
        self.channels[name] = self.all_channels[name] = channel
        if request.path.endswith("/create"):
            if request.can_read_body:
                channel.variables = (await request.json())["variables"]
            channel.in_stasis = True
            self._send_event(channel, "StasisStart", args=query.get("appArgs", "").split(","))
        else:
            self._ring(channel)
        answer = web.json_response(channel.as_json())
        await asyncio.sleep(self.response_delay)
        return answer

    async def _dial(self, request: web.Request) -> web.StreamResponse:
        channel = self.channels.get(request.match_info["id"])
        if channel is None:
            return error(404, "Channel not found")
        if not channel.in_stasis:
            return error(409, "Channel not in Stasis application")
        if self.refuses_dial:
            return error(self.refuses_dial, "Set by the test")
        channel.query["timeout"] = request.query["timeout"]
        self._ring(channel)
        return web.Response(status=204)

    async def _play_tone(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.tone_delay)
        return self._set_tone(request.match_info["id"], True)

    async def _stop_tone(self, request: web.Request) -> web.StreamResponse:
        return self._set_tone(request.match_info["id"], False)

    def _set_tone(self, name: str, is_on: bool) -> web.Response:
        channel = self.channels.get(name)
        if channel is None:
            return error(404, "Channel not found")
        if not channel.in_stasis:
            return error(409, "Channel not in a Stasis application")
        channel.hears_tone = is_on
        return web.Response(status=204)

    async def _hang_up(self, request: web.Request) -> web.StreamResponse:
        channel = self.channels.get(request.match_info["id"])
        if channel is None:
            return error(404, "Channel not found")
        if (cause := REASONS.get(request.query.get("reason", "normal"))) is None:
            return error(400, "Invalid reason for hangup provided")
        self._destroy(channel, cause)
        return web.Response(status=204)

    async def _send_dtmf(self, request: web.Request) -> web.StreamResponse:
        channel = self.channels.get(request.match_info["id"])
        if channel is None:
            return error(404, "Channel not found")
        if not channel.in_stasis:
            return error(409, "Channel not in a Stasis application")
        if not request.query.get("dtmf"):
            return error(400, "DTMF is required")
        if self.refuses_dtmf:
            return error(500, "Set by the test")
        return web.Response(status=204)

    async def _make_bridge(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.delay)
        name = request.query["bridgeId"]
        if request.query.get("type") != "mixing":
            return error(400, "Only a mixing bridge connects two phones")
        if name in self.bridges:
            return error(409, "Bridge with the same ID already exists")
        self.bridges[name] = set()
        return web.json_response(bridge_json(name, set()))

    async def _add_channel(self, request: web.Request) -> web.StreamResponse:
        bridge = self.bridges.get(request.match_info["id"])
        if bridge is None:
            return error(404, "Bridge not found")
        names = request.query["channel"].split(",")
        for name in names:
            if name not in self.channels:
                return error(400, "Channel not found")
            if not self.channels[name].in_stasis:
                return error(422, "Channel not in Stasis application")
            if self.channels[name].hears_tone:
                return error(500, "The tone would run on in the bridge")
        bridge.update(names)
        self.bridged.append(frozenset(names))
        return web.Response(status=204)

    async def _get_bridge(self, request: web.Request) -> web.StreamResponse:
        found = self.bridges.get(name := request.match_info["id"])
        return error(404, "") if found is None else web.json_response(bridge_json(name, found))

    async def _end_bridge(self, request: web.Request) -> web.StreamResponse:
        found = self.bridges.pop(request.match_info["id"], None)
        return error(404, "Bridge not found") if found is None else web.Response(status=204)

    def _forget(self) -> None:
        for channel in self.channels.values():
            for timer in channel.timers:
                timer.cancel()
        self.channels.clear()
        self.bridges.clear()

    # Its thread

    def _do(self, work: Callable[..., object], *args: Any) -> None:
        done = threading.Event()

        def act() -> None:
            try:
                work(*args)
            finally:
                done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(5)

    def serve(self, started: threading.Event) -> None:
        """Serve in this thread until `stop()`."""
        asyncio.run(self._serve(started))

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        posting = asyncio.ensure_future(self._post())
        runner = web.AppRunner(self.application(), shutdown_timeout=0.1)
        await runner.setup()
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        await web.SockSite(runner, listening).start()
        started.set()
        await self._stop.wait()
        await stop_listening(listening)
        self._drop()
        posting.cancel()
        await runner.cleanup()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)


@contextlib.contextmanager
def asterisk(port: int = 0, prefix: str = "") -> Iterator[FakeAsterisk]:
    """A fake Asterisk on this port of loopback; 0 for any port."""
    ari, started = FakeAsterisk(port=port, prefix=prefix), threading.Event()
    thread = threading.Thread(target=ari.serve, args=(started,), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield ari
    finally:
        ari.stop()
        thread.join(10)
