"""Our legs on one Asterisk: a channel for each leg, a bridge for each call."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from typing import Any

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from ..base import CallKey, LegKey, Report
from ..digits import BEFORE, with_half_seconds
from . import causes
from .channel_ids import bridge_id, bridge_of, channel_id, is_bridge_of, is_channel_of
from .connection import Address, Connection, Json, NoResponse
from .hang_ups import HangUps
from .leg import AsteriskLeg

logger = logging.getLogger(__name__)

LOST_AFTER = 30.0  # seconds without a WebSocket, after which its calls are ended
# Maximum seconds from a StasisEnd to the ChannelDestroyed of a phone that has hung up (without it,
# the phone was transferred), and from a response that may mean that it has hung up.
DESTROYED_WITHIN = 1.0
CLOSE_TIMEOUT = 5.0  # seconds for the last requests of a switch that stops

DONE = (200, 204)
NOT_FOUND = 404
GATEWAY_TIMEOUT = 504  # a proxy got no response in time; Asterisk may still execute the request


class StasisApplication:
    """Our application on one Asterisk. Its name is unique, even if gateways have two addresses for
    the same Asterisk.
    """

    def __init__(self, address: Address, report: Report) -> None:
        self.name = f"{address.application}-{secrets.token_hex(4)}"
        self.connection = Connection(address, self.name, self)
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._legs: dict[str, AsteriskLeg] = {}  # by channel
        self._legs_a: dict[CallKey, AsteriskLeg] = {}
        self._bridged: set[CallKey] = set()
        self._bridging: dict[CallKey, asyncio.Task[Any]] = {}
        self._hang_ups = HangUps(self.connection)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lost_timer: asyncio.TimerHandle | None = None
        self._was_connected = False

    @property
    def is_idle(self) -> bool:
        """Whether it can be closed: it has no legs, and no request is unfinished."""
        return not (self._legs or self._tasks or self._hang_ups.pending)

    async def close(self) -> None:
        """Hang up all legs, wait briefly for the requests, and disconnect. Channels that could not
        be hung up are logged.
        """
        self._stop_lost_timer()
        for leg in list(self._legs.values()):
            self.hang_up(leg.key, Cause.SWITCH_STOPPED)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT)
        for task in (unfinished := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        if pending := sorted(self._hang_ups.pending):
            url = self.connection.address.url
            logger.error("Asterisk at %s: could not hang up %s.", url, ", ".join(pending))
        await self.connection.close()

    # From the switch

    def has_leg(self, key: LegKey) -> bool:
        """Whether this leg is here."""
        return channel_id(self.name, key) in self._legs

    def has_leg_a(self, call: CallKey) -> bool:
        """Whether this call's leg A is here, so that leg B can be bridged with it."""
        return call in self._legs_a

    def originate(self, key: LegKey, endpoint: str, caller_id: str, ring_timeout: int) -> None:
        """Ring a phone; without a `caller_id`, Asterisk chooses one."""
        leg = AsteriskLeg(key, channel_id(self.name, key), self._report, self._on_leg_end)
        parameters: dict[str, str | int] = {
            "endpoint": endpoint,
            "app": self.name,
            "appArgs": str(key.side),
            "channelId": leg.channel,
            "timeout": ring_timeout,
        }
        if caller_id:
            parameters["callerId"] = caller_id
        if key.side is Side.A:
            self._legs_a[key.call] = leg
        elif leg_a := self._legs_a.get(key.call):
            parameters["originator"] = leg_a.channel
        self._legs[leg.channel] = leg
        self._start(self._originate(leg, parameters))

    def bridge(self, key_a: LegKey, key_b: LegKey) -> None:
        """Connect two legs; if that fails, B is hung up and reported as hung up."""
        a, b = (self._legs.get(channel_id(self.name, key)) for key in (key_a, key_b))
        if a is not None and b is not None:  # otherwise one has hung up, and is being reported
            self._bridged.add(key_a.call)
            self._bridging[key_a.call] = self._start(self._bridge(a, b))

    def dial_extension(self, key_b: LegKey, digits: str) -> None:
        """Send digits to B's phone after the two legs are connected."""
        leg = self._legs.get(channel_id(self.name, key_b))
        if leg is not None:
            self._start(self._dial_extension(leg, digits))

    def hang_up(self, key: LegKey, cause: Cause) -> None:
        """Hang up a leg in any state."""
        leg = self._legs.get(channel_id(self.name, key))
        if leg is not None:
            leg.end()
            if leg.requested:
                self._hang_up(leg.channel, causes.hangup_reason(cause))

    def hang_up_call_of(self, channel: str) -> None:
        """Hang up another switch's channel, and the rest of its call. `ValueError` for an id that
        none of our switches made.
        """
        bridge_of(channel)
        self._start(self._hang_ups.hang_up_call_of(channel))

    def retry_hang_ups(self) -> None:
        """Retry the hang-ups that have failed."""
        for channel in self._hang_ups.pending:
            if is_channel_of(self.name, channel):
                self._hang_up(channel)
            else:  # another switch's, whose call may have more channels
                self._start(self._hang_ups.hang_up_call_of(channel))

    async def _originate(self, leg: AsteriskLeg, parameters: dict[str, str | int]) -> None:
        url = self.connection.address.url
        if not await self.connection.wait_until_up():
            logger.warning("Asterisk at %s is down: cannot originate a call.", url)
            leg.fail(Cause.GATEWAY_DOWN, transport=True)
            return
        if leg.ended:
            return
        leg.requested = True
        try:
            status, answer = await self.connection.request("POST", "channels", parameters)
            is_clear, is_late, why = (
                status <= 500,
                status == GATEWAY_TIMEOUT,
                f"HTTP {status}: {answer}",
            )
        except NoResponse as error:
            status, is_clear, is_late, why = 0, not error.sent, error.late, str(error)
        if status in DONE:
            leg.exists = True
        if leg.ended:  # it was hung up when the channel may not have existed yet
            if status in DONE or not is_clear:
                await self._hang_ups.hang_up(leg.channel)
        elif not leg.exists:  # otherwise its events report the outcome
            logger.warning("Asterisk at %s: cannot originate a call: %s", url, why)
            # Another gateway may be tried only if it is certain that this one rings no phone, and
            # will not ring one when a slow Asterisk executes the request.
            no_channel = is_clear or await self._hang_ups.try_once(leg.channel) == NOT_FOUND
            if not leg.exists:
                leg.fail(Cause.GATEWAY_DOWN, transport=no_channel and not is_late)

    async def _bridge(self, a: AsteriskLeg, b: AsteriskLeg) -> None:
        bridge = bridge_id(self.name, a.key.call)
        new_bridge: dict[str, str | int] = {"type": "mixing", "bridgeId": bridge, "name": bridge}
        channels: dict[str, str | int] = {"channel": f"{a.channel},{b.channel}"}
        why = ""
        try:
            for path, parameters in (
                ("bridges", new_bridge),
                (f"bridges/{bridge}/addChannel", channels),
            ):
                status, answer = await self.connection.request("POST", path, parameters)
                if status not in DONE:
                    why = f"HTTP {status}: {answer}"
                    break
        except NoResponse as error:
            why = str(error)
        if why and not (a.ended or b.ended):
            await asyncio.sleep(DESTROYED_WITHIN)  # one may have hung up just now
        if a.ended or b.ended:
            await self._hang_ups.destroy_bridge(bridge)
        elif why:
            logger.error("Two legs could not be bridged: %s", why)
            self._hang_up(b.channel, "congestion")
            b.hung_up(Cause.GATEWAY_DOWN)

    async def _dial_extension(self, leg: AsteriskLeg, digits: str) -> None:
        # Earlier, Asterisk would only bridge the channel when it has sent all digits.
        if bridging := self._bridging.get(leg.key.call):
            await asyncio.wait([bridging])
        if leg.ended:
            return
        parameters: dict[str, str | int] = {
            "dtmf": with_half_seconds(digits),
            "before": int(BEFORE * 1000),
        }
        path = f"channels/{leg.channel}/dtmf"
        try:
            status, answer = await self.connection.request("POST", path, parameters)
            why = "" if status in DONE else f"HTTP {status}: {answer}"
        except NoResponse as error:
            why = str(error)
        if why and not leg.ended:
            logger.warning("The extension was not dialed: %s", why)

    # From Asterisk

    def on_event(self, event: Json) -> None:
        """Handle an event."""
        kind = event.get("type")
        data = event.get("peer" if kind == "Dial" else "channel")
        if not isinstance(data, dict):
            return
        channel, state = str(data.get("id")), data.get("state")
        leg = self._legs.get(channel)
        if leg is None:
            if kind in ("StasisStart", "ChannelStateChange") and state in ("Ringing", "Up"):
                self._hang_up_stray(channel)
            return
        leg.exists = True
        match kind:
            case "Dial" if event.get("dialstatus") == "RINGING":
                leg.ring()
            case "ChannelStateChange" if state == "Ringing":
                leg.ring()
            case "StasisStart":
                leg.answer()
            case "StasisEnd":
                self._loop.call_later(DESTROYED_WITHIN, self._on_transfer, leg)
            case "ChannelDestroyed":
                leg.destroyed(event)

    async def on_connected(self) -> None:
        """After a reconnection, update our legs, and hang up channels without a leg."""
        if self._was_connected:
            confirmed = [leg for leg in self._legs.values() if leg.exists]
            found = await self.connection.list_all("channels")
            for channel, data in found.items():
                if leg := self._legs.get(channel):
                    self._catch_up(leg, data)
                else:
                    self._hang_up_stray(channel)
            for leg in confirmed:
                if leg.channel not in found:
                    leg.vanished()
            bridges = {bridge_id(self.name, call) for call in self._bridged}
            for bridge in await self.connection.list_all("bridges"):
                if is_bridge_of(self.name, bridge) and bridge not in bridges:
                    self._start(self._hang_ups.destroy_bridge(bridge))
        self.retry_hang_ups()
        self._was_connected = True
        self._stop_lost_timer()

    def on_disconnected(self) -> None:
        """End the calls unless the WebSocket reconnects soon."""
        if self._lost_timer is None:
            self._lost_timer = self._loop.call_later(LOST_AFTER, self._end_calls)

    def _catch_up(self, leg: AsteriskLeg, data: Json) -> None:
        leg.exists = True
        dialplan = data.get("dialplan")
        application = dialplan.get("app_name") if isinstance(dialplan, dict) else None
        if data.get("state") == "Ringing":
            leg.ring()
        elif data.get("state") == "Up" and application in (None, "", "Stasis"):
            leg.answer()

    def _end_calls(self) -> None:
        self._lost_timer = None
        for leg in list(self._legs.values()):
            leg.vanished()
            self._hang_up(leg.channel)

    def _stop_lost_timer(self) -> None:
        if self._lost_timer is not None:
            self._lost_timer.cancel()
            self._lost_timer = None

    def _on_leg_end(self, leg: AsteriskLeg) -> None:
        call = leg.key.call
        self._legs.pop(leg.channel, None)
        self._bridging.pop(call, None)
        if self._legs_a.get(call) is leg:
            del self._legs_a[call]
        if call in self._bridged:
            self._bridged.discard(call)
            self._start(self._hang_ups.destroy_bridge(bridge_id(self.name, call)))

    def _on_transfer(self, leg: AsteriskLeg) -> None:
        """Hang up a phone that was transferred into the dialplan, out of our control."""
        if not leg.ended:
            self._hang_up(leg.channel)

    def _hang_up_stray(self, channel: str) -> None:
        """Hang up a channel if it is ours and has no leg; never another application's."""
        if is_channel_of(self.name, channel) and channel not in self._hang_ups:
            self._hang_up(channel)

    def _hang_up(self, channel: str, reason: str = "normal") -> None:
        self._start(self._hang_ups.hang_up(channel, reason))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
