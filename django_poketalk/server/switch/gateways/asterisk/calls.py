"""Our calls on one Asterisk: a channel for each leg, a bridge for each call."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Failed,
    HungUp,
    Ringing,
    Side,
)

from ..base import CallKey, LegKey, Report
from . import causes, names
from .connection import Address, Connection, Json, Unanswered
from .endings import Endings

logger = logging.getLogger(__name__)

LOST_AFTER = 30.0  # seconds without a WebSocket, after which its calls are given up
# Seconds until the ChannelDestroyed of a phone that has left: after its StasisEnd, else it was led
# elsewhere, and after an answer that lets one suppose so.
LEAVE_WITHIN = 1.0
GOODBYE = 5.0  # seconds at most for the requests of a switch that stops

DONE = (200, 204)
NEVER_WAS = 404
LATE = 504  # what a proxy says of an answer that did not come in time


@dataclass(slots=True, eq=False)
class Leg:
    """One channel of ours. `asked`: its request has been sent; `exists`: an answer or an event has
    told of it.
    """

    key: LegKey
    channel: str
    asked: bool = False
    exists: bool = False
    rings: bool = False
    answered: bool = False
    over: bool = False


class Asterisk:
    """One Asterisk, as one switch uses it: as an application of its own, which no other has, even
    where the same Asterisk is known by two addresses.
    """

    def __init__(self, address: Address, report: Report) -> None:
        self.application = f"{address.application}-{secrets.token_hex(4)}"
        self.connection = Connection(address, self.application, self)
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._legs: dict[str, Leg] = {}  # by channel
        self._a: dict[CallKey, Leg] = {}  # each call's leg A
        self._bridged: set[CallKey] = set()
        self._endings = Endings(self.connection)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._give_up: asyncio.TimerHandle | None = None
        self._was_connected = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be missed if it were closed."""
        return not (self._legs or self._tasks or self._endings.owed)

    async def close(self) -> None:
        """Put down what is still up, finish what is under way, for a moment, and let go. What is
        not over then is nobody's any more, and is named in the log.
        """
        if self._give_up is not None:
            self._give_up.cancel()
        for leg in list(self._legs.values()):
            self.hang_up(leg.key, Cause.SWITCH_STOPPED)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GOODBYE)
        for task in (unfinished := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        if left := sorted(self._endings.owed):
            url = self.connection.address.url
            logger.error("Asterisk at %s was left with %s.", url, ", ".join(left))
        await self.connection.close()

    # What the switch wants

    def has(self, key: LegKey) -> bool:
        """Whether this leg is rung or up here."""
        return names.channel(self.application, key) in self._legs

    def has_leg_a(self, call: CallKey) -> bool:
        """Whether this call's leg A is here, so that its leg B can be connected with it."""
        return call in self._a

    def originate(self, key: LegKey, endpoint: str, caller: str, ring_timeout: int) -> None:
        """Ring a phone; `caller` is what it is to show, empty for what Asterisk has in mind."""
        leg = Leg(key, names.channel(self.application, key))
        wanted: dict[str, str | int] = {
            "endpoint": endpoint,
            "app": self.application,
            "appArgs": str(key.side),
            "channelId": leg.channel,
            "timeout": ring_timeout,
        }
        if caller:
            wanted["callerId"] = caller
        if key.side is Side.A:
            self._a[key.call] = leg
        elif leg_a := self._a.get(key.call):
            wanted["originator"] = leg_a.channel
        self._legs[leg.channel] = leg
        self._start(self._place(leg, wanted))

    def bridge(self, key_a: LegKey, key_b: LegKey) -> None:
        """Connect two phones; when that cannot be done, B is put down and reported so."""
        a, b = (self._legs.get(names.channel(self.application, key)) for key in (key_a, key_b))
        if a is not None and b is not None:  # else one has left, which the switch is being told
            self._bridged.add(key_a.call)
            self._start(self._connect(a, b))

    def hang_up(self, key: LegKey, cause: Cause) -> None:
        """Put a phone down, in whatever state it is."""
        leg = self._legs.get(names.channel(self.application, key))
        if leg is not None:
            self._over(leg)
            if leg.asked:
                self._start(self._endings.end(leg.channel, causes.hangup_reason(cause)))

    def end_call_of(self, channel: str) -> None:
        """Put down the phones of a call that another switch has left: this one, and what else
        there is of its call. `ValueError` for a name that none of us gave.
        """
        names.bridge_beside(channel)
        self._start(self._endings.end_call_of(channel))

    def retry_hang_ups(self) -> None:
        """End what could not be ended when it was to be."""
        for name in self._endings.owed:
            is_ours = names.is_of(self.application, name)  # of a call that may have others
            end = self._endings.end if is_ours else self._endings.end_call_of
            self._start(end(name))

    async def _place(self, leg: Leg, wanted: dict[str, str | int]) -> None:
        if not await self.connection.ready():
            logger.warning("%s rings no phone: it is down.", self.connection.address.url)
            self._fail(leg, Cause.GATEWAY_DOWN, transport=True)
            return
        if leg.over:
            return
        leg.asked = True
        try:
            status, answer = await self.connection.request("POST", "channels", wanted)
            is_clear, is_late, why = status <= 500, status == LATE, f"HTTP {status}: {answer}"
        except Unanswered as error:
            status, is_clear, is_late, why = 0, not error.sent, error.late, str(error)
        if status in DONE:
            leg.exists = True
            if leg.over:  # it was put down when there was perhaps nothing to be put down yet
                await self._endings.end(leg.channel)
        elif leg.over:
            if not is_clear:
                await self._endings.end(leg.channel)
        elif not leg.exists:  # else its events tell all there is to know
            logger.warning("%s rings no phone: %s", self.connection.address.url, why)
            # Another way is tried only where it is certain that no phone rings by this one, nor
            # will when an Asterisk that is slow comes to it.
            never_was = is_clear or await self._endings.try_to_end(leg.channel) == NEVER_WAS
            if not leg.exists:
                self._fail(leg, Cause.GATEWAY_DOWN, transport=never_was and not is_late)

    async def _connect(self, a: Leg, b: Leg) -> None:
        name = names.bridge(self.application, a.key.call)
        try:
            status, answer = await self.connection.request(
                "POST", "bridges", {"type": "mixing", "bridgeId": name, "name": name}
            )
            if status in DONE:
                status, answer = await self.connection.request(
                    "POST", f"bridges/{name}/addChannel", {"channel": f"{a.channel},{b.channel}"}
                )
            why = "" if status in DONE else f"HTTP {status}: {answer}"
        except Unanswered as error:
            why = str(error)
        if why and not (a.over or b.over):
            await asyncio.sleep(LEAVE_WITHIN)  # or one has just left, which is still to be told
        if a.over or b.over:
            await self._endings.end_bridge(name)
        elif why:
            logger.error("Two phones could not be connected: %s", why)
            self._start(self._endings.end(b.channel, "congestion"))
            self._hung_up(b, Cause.GATEWAY_DOWN)

    # What happens there

    def event(self, event: Json) -> None:
        """Take what Asterisk tells."""
        kind = event.get("type")
        channel = event.get("peer" if kind == "Dial" else "channel")
        if not isinstance(channel, dict):
            return
        name, state = str(channel.get("id")), channel.get("state")
        leg = self._legs.get(name)
        if leg is None:
            if kind in ("StasisStart", "ChannelStateChange") and state in ("Ringing", "Up"):
                self._end_stray(name)
            return
        leg.exists = True
        match kind:
            case "Dial" if event.get("dialstatus") == "RINGING":
                self._ring(leg)
            case "ChannelStateChange" if state == "Ringing":
                self._ring(leg)
            case "StasisStart":
                self._answer(leg)
            case "StasisEnd":
                self._loop.call_later(LEAVE_WITHIN, self._end_led_away, leg)
            case "ChannelDestroyed":
                self._destroyed(leg, event)

    async def connected(self) -> None:
        """See what became of our channels while nobody listened; end those that nobody has."""
        if self._was_connected:
            known = [leg for leg in self._legs.values() if leg.exists]
            found = await self.connection.listed("channels")
            for name, channel in found.items():
                if leg := self._legs.get(name):
                    self._adopt(leg, channel)
                else:
                    self._end_stray(name)
            for leg in known:
                if leg.channel not in found:
                    self._vanish(leg)
            kept = {names.bridge(self.application, call) for call in self._bridged}
            for name in await self.connection.listed("bridges"):
                if names.is_bridge_of(self.application, name) and name not in kept:
                    self._start(self._endings.end_bridge(name))
        self.retry_hang_ups()
        self._was_connected = True
        if self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None

    def lost(self) -> None:
        """Give it a while to come back."""
        if self._give_up is None:
            self._give_up = self._loop.call_later(LOST_AFTER, self._lose_all)

    def _adopt(self, leg: Leg, channel: Json) -> None:
        leg.exists = True
        dialplan = channel.get("dialplan")
        application = dialplan.get("app_name") if isinstance(dialplan, dict) else None
        if channel.get("state") == "Ringing":
            self._ring(leg)
        elif channel.get("state") == "Up" and application in (None, "", "Stasis"):
            self._answer(leg)

    def _lose_all(self) -> None:
        self._give_up = None
        for leg in list(self._legs.values()):
            self._vanish(leg)
            self._start(self._endings.end(leg.channel))

    # Legs

    def _ring(self, leg: Leg) -> None:
        if not leg.rings and not leg.answered:
            leg.rings = True
            self._report(leg.key.call, Ringing(leg.key.side, leg.key.attempt))

    def _answer(self, leg: Leg) -> None:
        if not leg.answered:
            leg.answered = True
            self._report(leg.key.call, Answered(leg.key.side, leg.key.attempt, leg.channel))

    def _destroyed(self, leg: Leg, event: Json) -> None:
        cause = event.get("cause")
        q850 = cause if isinstance(cause, int) and 0 <= cause <= 127 else 0
        sip_status = causes.sip_status(event.get("tech_cause"))
        if leg.answered:
            self._hung_up(leg, Cause.NORMAL, sip_status, q850)
        else:
            self._fail(
                leg,
                causes.cause_of(q850, sip_status),
                transport=causes.is_transport(q850),
                sip_status=sip_status,
                q850=q850,
            )

    def _fail(
        self, leg: Leg, cause: Cause, *, transport: bool, sip_status: int = 0, q850: int = 0
    ) -> None:
        if not leg.over:
            self._over(leg)
            key = leg.key
            fact = Failed(key.side, key.attempt, cause, transport, sip_status, q850)
            self._report(key.call, fact)

    def _hung_up(self, leg: Leg, cause: Cause, sip_status: int = 0, q850: int = 0) -> None:
        self._over(leg)
        fact = HungUp(leg.key.side, leg.key.attempt, cause, sip_status, q850)
        self._report(leg.key.call, fact)

    def _vanish(self, leg: Leg) -> None:
        """It ended while nobody listened, nobody knows why."""
        if leg.answered:
            self._hung_up(leg, Cause.GATEWAY_DOWN)
        else:
            self._fail(leg, Cause.GATEWAY_DOWN, transport=False)

    def _over(self, leg: Leg) -> None:
        leg.over = True
        self._legs.pop(leg.channel, None)
        if self._a.get(leg.key.call) is leg:
            del self._a[leg.key.call]
        if leg.key.call in self._bridged:
            self._bridged.discard(leg.key.call)
            self._start(self._endings.end_bridge(names.bridge(self.application, leg.key.call)))

    def _end_led_away(self, leg: Leg) -> None:
        """Somebody has sent the phone on into the dialplan, where we have no say."""
        if not leg.over:
            self._start(self._endings.end(leg.channel))

    def _end_stray(self, name: str) -> None:
        """End a channel of ours that no call has any more; others are not ours to end."""
        if names.is_of(self.application, name) and name not in self._endings:
            self._start(self._endings.end(name))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
