"""Our legs on one Asterisk: a channel for each leg."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Coroutine
from typing import Any

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from django_poketalk.shared.logs import get_logger

from ..base import CallKey, LegKey, Report
from . import causes, channel_ids, redirections
from .bridges import Bridges
from .channel_ids import channel_id, is_channel_of
from .connection import Address, Connection, Json
from .dialed_channels import DialedChannels
from .hang_ups import HangUps
from .leg import AsteriskLeg
from .originations import Originations
from .redirections import Redirection

logger = get_logger(__name__)

LOST_AFTER = 30.0  # seconds without a WebSocket, after which its calls are ended
# Maximum seconds from a StasisEnd to the ChannelDestroyed of a phone that has hung up (without it,
# the phone was transferred), and from a response that may mean that it has hung up.
DESTROYED_WITHIN = 1.0
CLOSE_TIMEOUT = 5.0  # seconds for the last requests of a switch that stops

PROGRESS = ("RINGING", "PROGRESS")  # `Dial` statuses: the network has found the phone


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
        self._bridges = Bridges(self.name, self.connection)
        self._hang_ups = HangUps(self.connection)
        self._dialed_channels = DialedChannels(self.name, self.connection)
        self._originations = Originations(
            self.name, self.connection, self._dialed_channels, self._hang_ups
        )
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

    def originate(
        self,
        key: LegKey,
        endpoint: str,
        caller_id: str,
        ring_timeout: int,
        *,
        progress_timeout: float,
        failover_codes: Collection[int] = (),
        early_media: bool = False,
    ) -> None:
        """Ring a phone; without a `caller_id`, Asterisk chooses one. If it does not ring within
        `progress_timeout` seconds, the gateway has failed, as after a SIP status in
        `failover_codes`. With `early_media`, A hears what B's network plays before B answers.
        """
        channel = channel_id(self.name, key)
        leg = AsteriskLeg(key, channel, ring_timeout, self._report, self._on_leg_end)
        leg.failover_codes, leg.has_dialplan = failover_codes, endpoint.startswith("Local/")
        leg_a = None
        if key.side is Side.A:
            self._legs_a[key.call] = leg
        elif leg_a := self._legs_a.get(key.call):
            leg.is_created_first = early_media
        originator = leg_a.channel if leg_a else ""
        self._legs[leg.channel] = leg
        self._start(self._originations.create(leg, endpoint, caller_id, originator))
        self._loop.call_later(progress_timeout, self._check_progress, leg)

    def bridge(self, key_a: LegKey, key_b: LegKey) -> None:
        """Connect two legs; if that fails, B is hung up and reported as hung up."""
        a, b = (self._legs.get(channel_id(self.name, key)) for key in (key_a, key_b))
        if a is not None and b is not None:  # otherwise one has hung up, and is being reported
            self._start(self._bridge(a, b))

    def dial_extension(self, key_b: LegKey, digits: str) -> None:
        """Send digits to B's phone after the two legs are connected."""
        leg = self._legs.get(channel_id(self.name, key_b))
        if leg is not None:
            self._start(self._bridges.dial_extension(leg, digits))

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
        channel_ids.bridge_of(channel)
        self._start(self._hang_ups.hang_up_call_of(channel))

    def retry_hang_ups(self) -> None:
        """Retry the hang-ups that have failed."""
        for channel in self._hang_ups.pending:
            if is_channel_of(self.name, channel):
                self._hang_up(channel)
            else:  # another switch's, whose call may have more channels
                self._start(self._hang_ups.hang_up_call_of(channel))

    def _check_progress(self, leg: AsteriskLeg) -> None:
        if leg.exists and not (leg.ended or leg.has_progress):
            logger.warning("Asterisk at %s: no progress of a call.", self.connection.address.url)
            leg.is_given_up = True
            self._start(self._originations.give_up(leg))

    async def _bridge(self, a: AsteriskLeg, b: AsteriskLeg) -> None:
        why = await self._bridges.connect(a, b)
        if why and not (a.ended or b.ended):
            await asyncio.sleep(DESTROYED_WITHIN)  # one may have hung up just now
        if a.ended or b.ended:
            await self._hang_ups.destroy_bridge(channel_ids.bridge_id(self.name, a.key.call))
        elif why:
            logger.error("Two legs could not be bridged: %s", why)
            self._hang_up(b.channel, "congestion")
            b.hung_up(Cause.GATEWAY_DOWN)

    async def _connect_early(self, a: AsteriskLeg, b: AsteriskLeg) -> None:
        if why := await self._bridges.connect(a, b):
            logger.warning("Leg A does not hear leg B's network: %s", why)
        if a.ended:
            await self._hang_ups.destroy_bridge(channel_ids.bridge_id(self.name, a.key.call))

    # From Asterisk

    def on_event(self, event: Json) -> None:
        """Handle an event."""
        redirection = redirections.find(event)
        if redirection and is_channel_of(self.name, redirection.channel):
            self._end_redirected(redirection)
        kind = event.get("type")
        data = event.get("peer" if kind == "Dial" else "channel")
        if not isinstance(data, dict):
            return
        channel, state = str(data.get("id")), data.get("state")
        leg = self._legs.get(channel)
        if leg is None:
            self._on_other_channel(channel, state, event)
            return
        leg.exists = True
        match kind:
            case "Dial":
                self._on_dial(leg, str(event.get("dialstatus")))
            case "ChannelStateChange" if state == "Ringing":
                self._on_ringing(leg)
            case "ChannelStateChange" if state == "Up" and leg.is_created_first:
                leg.answer()
            case "StasisStart" if leg.is_created_first:
                self._start(self._originations.dial(leg))
            case "StasisStart":
                leg.answer()
            case "StasisEnd":
                self._start(self._on_stasis_end(leg))
            case "ChannelDestroyed":
                leg.destroyed(event)

    def _on_other_channel(self, channel: str, state: object, event: Json) -> None:
        match event.get("type"):
            case "StasisStart":
                self._hang_up_once(channel)  # nothing else may enter our application
            case "ChannelStateChange" if state in ("Ringing", "Up"):
                self._hang_up_stray(channel)
            case "Dial" if dialed := self._dialed_channels.find(event, self._legs):
                self._start(self._dialed_channels.subscribe(dialed))
            case "ChannelHangupRequest":
                self._dialed_channels.hang_up(channel, event)

    def _end_redirected(self, redirection: Redirection) -> None:
        """End a leg that was transferred or forwarded, and hang up the channel that replaces it,
        before it costs anything.
        """
        for channel in filter(None, (redirection.channel, redirection.target)):
            self._hang_up_once(channel)
        if leg := self._legs.get(redirection.channel):
            leg.end_with(redirection.cause)

    def _on_dial(self, leg: AsteriskLeg, status: str) -> None:
        leg.dial_status = status
        if status in PROGRESS:
            self._on_ringing(leg)
        leg_a = self._legs_a.get(leg.key.call)
        if leg.is_created_first and leg_a:
            if status == "PROGRESS":
                self._start(self._connect_early(leg_a, leg))
            elif status in causes.DIAL_STATUSES:  # a dialplan plays a tone until the timeout
                leg.destroyed({})
                self._hang_up(leg.channel)

    def _on_ringing(self, leg: AsteriskLeg) -> None:
        leg_a = self._legs_a.get(leg.key.call)
        if leg.ring() and leg_a and leg.key.side is Side.B:
            self._start(self._bridges.ring(leg_a, leg))

    async def on_connected(self) -> None:
        """After a reconnection, update our legs, and hang up channels without a leg."""
        if self._was_connected:
            confirmed = [leg for leg in self._legs.values() if leg.exists]
            found = await self.connection.list_all("channels")
            for channel, data in found.items():
                if leg := self._legs.get(channel):
                    self._catch_up(leg, data)
                elif channel_ids.is_in_application(self.name, data):
                    self._hang_up_once(channel)
                else:
                    self._hang_up_stray(channel)
            for leg in confirmed:
                if leg.channel not in found:
                    leg.vanished()
            for bridge in await self.connection.list_all("bridges"):
                if channel_ids.is_bridge_of(self.name, bridge) and bridge not in self._bridges.ids:
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
            self._on_ringing(leg)
        elif data.get("state") == "Up" and application in (None, "", "Stasis"):
            leg.answer()
        elif leg.is_created_first and application == "Stasis":
            self._start(self._originations.dial(leg))

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
        self._dialed_channels.forget(leg)
        if self._legs_a.get(call) is leg:
            del self._legs_a[call]
        is_call_over = leg.key.side is Side.A or leg.is_answered
        if is_call_over and (bridge := self._bridges.forget(call)):
            self._start(self._hang_ups.destroy_bridge(bridge))

    async def _on_stasis_end(self, leg: AsteriskLeg) -> None:
        """End a leg that has left our application for the dialplan, where its end is not reported.
        A phone that has hung up leaves it too, but its `ChannelDestroyed` follows at once.
        """
        await asyncio.sleep(DESTROYED_WITHIN)
        if not leg.ended:
            self._hang_up(leg.channel)
            leg.end_with(Cause.TRANSFERRED)

    def _hang_up_stray(self, channel: str) -> None:
        """Hang up a channel if it is ours and has no leg; never another application's."""
        if is_channel_of(self.name, channel):
            self._hang_up_once(channel)

    def _hang_up_once(self, channel: str) -> None:
        if channel not in self._hang_ups:
            self._hang_up(channel)

    def _hang_up(self, channel: str, reason: str = "normal") -> None:
        self._start(self._hang_ups.hang_up(channel, reason))

    def _start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
