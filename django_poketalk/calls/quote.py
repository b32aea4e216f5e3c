"""What is known of a call before anybody is asked to dial."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..exceptions import CallRefused
from ..models import BlacklistedNumber, CallRequest
from ..protocol import numbers
from . import limits
from .limits import Cap
from .quiet_hours import CalleeTime, QuietHours


@dataclass(frozen=True, slots=True)
class Party:
    """One of the two phones: its E.164 number, its country (ISO 3166, None where it has none or
    several could be meant), and the entry of the blacklist that forbids it.
    """

    number: str
    country: str | None
    blacklisted: BlacklistedNumber | None


@dataclass(frozen=True, slots=True)
class Quote:
    """What would come of an order now. It reserves nothing: a cap that has room may be used up when
    the call is made.

    `call` is not saved: its numbers are E.164, its limits those that would hold (`max_duration` in
    seconds, `max_cost` in the account's currency). The phone of `caller` rings first; once it is
    answered, that of `callee`. `refusals` says why the call would be refused, all reasons; `caps`
    has the limits of all calls that are set and bind this one.
    """

    call: CallRequest
    caller: Party
    callee: Party
    callee_time: CalleeTime
    quiet_hours: QuietHours | None
    caps: tuple[Cap, ...]
    refusals: tuple[CallRefused, ...]

    @property
    def is_allowed(self) -> bool:
        """Whether the call would be made."""
        return not self.refusals


def of(call: CallRequest, refused: Iterable[CallRefused] = ()) -> Quote:
    """The quote of a call that is not saved; `refused` are reasons that are known already."""
    entries = {leg: limits.blacklisting(call, leg) for leg in limits.LEGS}
    caps = tuple(limits.caps(call))
    return Quote(
        call=call,
        caller=_party(call.from_number, entries["from_number"]),
        callee=_party(call.to_number, entries["to_number"]),
        callee_time=limits.callee_time(call),
        quiet_hours=limits.hours(),
        caps=caps,
        refusals=(*refused, *limits.refusals(call, entries, caps)),
    )


def _party(number: str, entry: BlacklistedNumber | None) -> Party:
    return Party(number, numbers.country(number), entry)
