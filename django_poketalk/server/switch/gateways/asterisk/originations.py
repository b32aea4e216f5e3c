"""Ringing the phones of our legs on one Asterisk: their channels are created, and dialed."""

from __future__ import annotations

from django_poketalk.server.switch.machine.facts_and_commands import Cause
from django_poketalk.shared.logs import get_logger

from .bridges import DONE
from .connection import Connection, Json, NoResponse
from .dialed_channels import DialedChannels
from .hang_ups import GONE, HangUps
from .leg import AsteriskLeg

logger = get_logger(__name__)

NOT_FOUND = 404
ALLOCATION_FAILED = {"error": "Allocation failed"}  # no phone is registered at the endpoint
GATEWAY_TIMEOUT = 504  # a proxy got no response in time; Asterisk may still execute the request


class Originations:
    """The requests that ring a leg's phone. Each ends the leg if it certainly rings no phone."""

    def __init__(
        self,
        application: str,
        connection: Connection,
        dialed_channels: DialedChannels,
        hang_ups: HangUps,
    ) -> None:
        self._application = application
        self._connection = connection
        self._dialed_channels = dialed_channels
        self._hang_ups = hang_ups

    async def create(
        self, leg: AsteriskLeg, endpoint: str, caller_id: str, originator: str
    ) -> None:
        """Create the leg's channel, and ring its phone unless it `is_created_first`. `originator`:
        the channel of leg A, for a leg B.
        """
        url = self._connection.address.url
        if not await self._connection.wait_until_up():
            logger.warning("Asterisk at %s is down: cannot originate a call.", url)
            leg.fail(Cause.GATEWAY_DOWN, transport=True)
            return
        if leg.ended:
            return
        leg.requested = True
        try:
            path = "channels/create" if leg.is_created_first else "channels"
            parameters, body = self._request(leg, endpoint, caller_id, originator)
            status, answer = await self._connection.request("POST", path, parameters, body)
            is_unreachable = status == 500 and answer == ALLOCATION_FAILED
            is_clear, is_late = status <= 500, status == GATEWAY_TIMEOUT
            why = f"HTTP {status}: {answer}"
        except NoResponse as error:
            status, is_unreachable = 0, False
            is_clear, is_late, why = not error.sent, error.late, str(error)
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
                cause = Cause.UNREACHABLE if is_unreachable else Cause.GATEWAY_DOWN
                leg.fail(cause, transport=no_channel and not is_late)

    async def dial(self, leg: AsteriskLeg) -> None:
        """Ring the phone of a channel that was created first."""
        if leg.ended or leg.is_dialed:
            return
        leg.is_dialed, why = True, ""
        await self._dialed_channels.prepare(leg)
        try:
            path, timeout = f"channels/{leg.channel}/dial", {"timeout": leg.ring_timeout}
            status, answer = await self._connection.request("POST", path, timeout)
            if status not in DONE:
                why = f"HTTP {status}: {answer}"
        except NoResponse as error:
            why = str(error)
        if why and not leg.ended:
            logger.warning("Asterisk at %s: cannot dial: %s", self._connection.address.url, why)
            leg.is_given_up = True  # its end may be reported before the response to the hang-up
            has_ended = await self._hang_ups.try_once(leg.channel) in GONE
            leg.fail(Cause.GATEWAY_DOWN, transport=has_ended)
            if not has_ended:
                await self._hang_ups.hang_up(leg.channel)

    async def give_up(self, leg: AsteriskLeg) -> None:
        """Hang up a leg without progress. Another gateway is tried once it is certain that this one
        rings no phone.
        """
        if await self._hang_ups.hang_up(leg.channel):
            leg.fail(Cause.GATEWAY_DOWN, transport=True)

    def _request(
        self, leg: AsteriskLeg, endpoint: str, caller_id: str, originator: str
    ) -> tuple[dict[str, str | int], Json | None]:
        """The parameters and the body of the request for a channel."""
        parameters: dict[str, str | int] = {
            "endpoint": endpoint,
            "app": self._application,
            "appArgs": str(leg.key.side),
            "channelId": leg.channel,
        }
        if originator:
            parameters["originator"] = originator
        if leg.is_created_first:
            variables = {"CONNECTEDLINE(all)": caller_id}
            return parameters, {"variables": variables} if caller_id else None
        parameters["timeout"] = leg.ring_timeout
        if caller_id:
            parameters["callerId"] = caller_id
        return parameters, None
