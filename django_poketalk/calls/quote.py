"""Quotes: what is known about a call before it is requested."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..exceptions import CallRefused
from ..models import BlacklistedNumber, CallRequest
from ..protocol import numbers
from . import caller_ids, limits
from .caps import Cap, caps
from .quiet_hours import CalleeTime, QuietHours


@dataclass(frozen=True, slots=True)
class Party:
    """One of the two phones: its E.164 or internal number, its country (ISO 3166, or None if it has
    none or is ambiguous), and the blacklist entry that forbids it, if any.
    """

    number: str
    country: str | None
    blacklisted: BlacklistedNumber | None


@dataclass(frozen=True, slots=True)
class Quote:
    """What would happen if the call were requested now. It reserves nothing: a cap that has room
    now may be used up when the call is requested.

    `call` is not saved. It has E.164 numbers, and the limits that would apply (`max_duration` in
    seconds, `max_cost` in the account's currency). The phone of `caller` rings first, and that of
    `callee` once it is answered. `caps` are the caps that apply to the call, and `refusals` all
    reasons to refuse it.
    """

    call: CallRequest
    caller: Party
    callee: Party
    callee_time: CalleeTime
    quiet_hours: QuietHours | None
    caps: tuple[Cap, ...]
    refusals: tuple[CallRefused, ...]

    @property
    def presented_number(self) -> str:
        """The number (E.164) that the callee's phone displays. "" if the service chooses it,
        because the call chooses none or the service does not support this.
        """
        return self.call.presented_number if caller_ids.is_sent(self.call.service) else ""

    @property
    def is_allowed(self) -> bool:
        """Whether the call would be accepted."""
        return not self.refusals


def of(call: CallRequest, refused: Iterable[CallRefused] = ()) -> Quote:
    """The quote for an unsaved call. `refused` are reasons that are already known."""
    entries = limits.blacklisting(call)
    counted = tuple(caps(call))
    return Quote(
        call=call,
        caller=_party(call.from_number, entries["from_number"]),
        callee=_party(call.to_number, entries["to_number"]),
        callee_time=limits.callee_time(call),
        quiet_hours=limits.hours(call.service),
        caps=counted,
        refusals=(*refused, *limits.refusals(call, entries), *limits.reached(counted)),
    )


def _party(number: str, entry: BlacklistedNumber | None) -> Party:
    country = None if numbers.is_internal(number) else numbers.country(number)
    return Party(number, country, entry)
