"""The real Asterisk beside the checkout, with scripted phones behind its trunk.

Its phones, a relay for the switch's requests and a WebSocket that receives all events run in a
thread. The public methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.needs import ROOT

from .channels import Channel, Phone
from .sip_phones import PhoneCall, SipPhones
from .wire import Wire

FOLDER = ROOT.parent / "shared/asterisk"
WATCHER = b64encode(b"watch:watch").decode()  # a second user, who sees all applications
STARTS_WITHIN = 20.0  # seconds
HANGS_UP_WITHIN = 5.0


class RealAsterisk(Wire):
    """For the tests what `FakeAsterisk` is, as far as the real one can be."""

    user, password = "poketalk", "secret-ari"

    def __init__(self, folder: str, conf: Path = FOLDER / "conf") -> None:
        # An address of its own, so that it shares no ports with anything else.
        pid = os.getpid()
        host = f"127.{64 + pid // 65_536}.{pid // 256 % 256}.{pid % 256}"
        self._folder, self._conf = folder, conf
        self.sip, self._ari = (host, _free_port(host)), (host, _free_port(host))
        super().__init__(self._ari)
        self.carrier = SipPhones()
        self.events: list[dict[str, Any]] = []  # of all applications and channels
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    # As the fake

    @property
    def url(self) -> str:
        """For the switch: through the relay."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def phones(self) -> dict[str, Phone]:
        return self.carrier.phones

    @phones.setter
    def phones(self, phones: dict[str, Phone]) -> None:
        self.carrier.phones = phones

    @property
    def channels(self) -> dict[str, Channel]:
        """The channels that exist now."""
        known = self.all_channels
        found = {}
        for each in self.get("channels"):
            channel = known.get(each["id"]) or Channel(each["id"], each["name"], {"app": ""})
            channel.state = each["state"]
            channel.in_stasis = each["dialplan"]["app_name"] == "Stasis"
            found[channel.id] = channel
        return found

    @property
    def all_channels(self) -> dict[str, Channel]:
        """All channels, also those that have ended."""
        found = {}
        for event in list(self.events):
            if event["type"] == "Dial":
                channel = event["peer"]["id"]
                if event.get("dialstring") and channel not in found:
                    found[channel] = Channel(channel, event["dialstring"], {"app": ""})
        for query in self.requests_to("POST", "channels"):
            if channel := found.get(query["channelId"]):
                channel.endpoint, channel.query = query["endpoint"], query
        return found

    @property
    def bridges(self) -> dict[str, set[str]]:
        return {each["id"]: set(each["channels"]) for each in self.get("bridges")}

    @property
    def bridged(self) -> list[frozenset[str]]:
        """The pairs that have been connected."""
        pairs = [
            frozenset(event["bridge"]["channels"])
            for event in list(self.events)
            if event["type"] == "ChannelEnteredBridge"
        ]
        return [pair for pair in pairs if len(pair) == 2]

    @property
    def hangup_causes(self) -> dict[str, int]:
        return {
            event["channel"]["id"]: event["cause"]
            for event in list(self.events)
            if event["type"] == "ChannelDestroyed"
        }

    def requests_to(self, method: str, path: str) -> list[dict[str, str]]:
        return [query for m, p, query in list(self.requests) if (m, p) == (method, path)]

    def channels_to(self, ending: str) -> list[Channel]:
        return [each for each in self.all_channels.values() if each.ending == ending]

    def has_application(self, app: str) -> bool:
        try:
            self.get(f"applications/{app}")
        except urllib.error.HTTPError as error:
            error.close()
            return False
        return True

    def drop_websockets(self, *, refuse: bool = False) -> None:
        self.accepts_websockets = not refuse
        self.do(self.cut)

    def pick_up(self, channel: Channel) -> None:
        self.do(self.carrier.answer, self.phone_call(channel.ending))

    def hang_up(self, channel: Channel) -> None:
        self.do(self.carrier.hang_up, self.phone_call(channel.ending))

    def transfer(self, channel: Channel, ending: str, *, attended: bool = False) -> None:
        """The phone transfers the other phone to the one with these last digits."""
        work = self.carrier.consult if attended else self.carrier.transfer
        self.do(work, self.phone_call(channel.ending), ending)

    def move(self, channel: Channel) -> None:
        """Move a channel to the dialplan, as another program could."""
        where = "context=from-trunk&extension=1000&priority=1"
        self._request("POST", f"channels/{channel.id}/continue?{where}")

    def originate(self, endpoint: str, app: str) -> None:
        """Ring a phone for this application, as another program could."""
        self._request("POST", f"channels?{urlencode({'endpoint': endpoint, 'app': app})}")

    def restart(self) -> None:
        """Kill it, and start it again. It does not hang up its phones first."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        for call in self.phone_calls:
            self.do(self.carrier.end, call)
        self._start()

    # What only the real one can do

    @property
    def output(self) -> str:
        """What Asterisk has logged."""
        return Path(f"{self._folder}/output").read_text()

    @property
    def phone_calls(self) -> list[PhoneCall]:
        """All calls that phones have received."""
        return list(self.carrier.calls)

    def phone_call(self, ending: str) -> PhoneCall:
        """The last call at the phone with these last digits."""
        return [call for call in self.phone_calls if call.ending == ending][-1]

    def end_test(self) -> list[str]:
        """Forget everything about a test. Returns what it has left in Asterisk, and the phones that
        are still on the line.
        """
        deadline = time.monotonic() + HANGS_UP_WITHIN
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for resource in ("channels", "bridges"):
            for each in self.get(resource):
                with contextlib.suppress(urllib.error.HTTPError):
                    self._request("DELETE", f"{resource}/{each['id']}")
        self.do(self.carrier.reset)
        while self._left():
            time.sleep(0.02)
        self.do(self.reset)
        self.events.clear()
        return left

    def _left(self) -> list[str]:
        left = [each["id"] for kind in ("channels", "bridges") for each in self.get(kind)]
        return left + [call.number for call in self.phone_calls if not call.ended]

    def get(self, path: str) -> Any:
        """What ARI returns."""
        return self._request("GET", path)

    def _request(self, method: str, path: str) -> Any:
        request = urllib.request.Request(
            f"http://{self._ari[0]}:{self._ari[1]}/ari/{path}",
            method=method,
            headers={"Authorization": f"Basic {WATCHER}"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read() or b"null")

    # Its process and thread

    def start(self) -> None:
        self._ready = threading.Event()
        self._thread.start()
        self._start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._ready.clear()
        with open(f"{self._folder}/output", "ab") as output:
            self._process = subprocess.Popen(
                # It must not outlive the tests if they are killed.
                ["setpriv", "--pdeathsig", "TERM", str(FOLDER / "start"), self._folder]
                + [f"{host}:{port}" for host, port in (self.sip, self._ari)],
                env={
                    **os.environ,
                    "CONF": str(self._conf),
                    "PHONES": self.carrier.address,
                    "TRUNK_CONTEXT": "from-internal",  # so that transfers and forwards go out
                    "RTP_START": "10000",
                    "RTP_END": "19999",
                },
                stdout=output,
                stderr=output,
            )
        if not self._ready.wait(STARTS_WITHIN):
            raise AssertionError(self.output)

    def do(self, work: Callable[..., object], *arguments: Any) -> None:
        """Call something in the thread of the phones."""
        done = threading.Event()

        def act() -> None:
            try:
                work(*arguments)
            finally:
                done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(5)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.carrier.open()
        await self.listen()
        watching = asyncio.create_task(self._watch())
        await self._stop.wait()
        watching.cancel()
        await asyncio.wait([watching])
        await self.close()
        self.carrier.close()

    async def _watch(self) -> None:
        url = f"http://{self._ari[0]}:{self._ari[1]}/ari/events?app=watcher&subscribeAll=true"
        async with aiohttp.ClientSession(headers={"Authorization": f"Basic {WATCHER}"}) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with session.ws_connect(url) as socket:
                        self._ready.set()
                        async for message in socket:
                            self.events.append(json.loads(message.data))
                await asyncio.sleep(0.05)


@contextlib.contextmanager
def asterisk(conf: Path = FOLDER / "conf") -> Iterator[RealAsterisk]:
    """A real Asterisk, in a folder of its own with a short path. `conf`: the templates of its
    configuration.
    """
    with tempfile.TemporaryDirectory(prefix="asterisk-", dir="/tmp") as folder:
        pbx = RealAsterisk(folder, conf)
        pbx.start()
        try:
            yield pbx
        finally:
            pbx.stop()


def _free_port(host: str) -> int:
    with socket.socket() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        stream.bind((host, 0))
        port: int = stream.getsockname()[1]
        datagrams.bind((host, port))
    return port
