"""Quiet hours: the hours of the day, in the callee's time zone, during which calls are refused.

Pure: the time is an argument, and the time zones of numbers come from Google's libphonenumber. A
number can have several possible zones, such as a mobile number of a large country. Quiet hours then
apply as long as they apply in any of these zones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber
from phonenumbers.timezone import (
    UNKNOWN_TIMEZONE,
    time_zones_for_geographical_number,
    time_zones_for_number,
)

DAY = timedelta(days=1)
AHEAD = timedelta(days=2)  # quiet hours that do not end within this time never end


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Every day from `start` until `end` (exclusive). They span midnight if `end` is earlier."""

    start: time
    end: time

    @classmethod
    def parse(cls, written: Sequence[str]) -> QuietHours:
        """Parse a pair such as `("21:00", "08:00")`. Raises `ValueError` for anything else."""
        if len(written) != 2:
            raise ValueError(f"{written!r} is not a pair of times.")
        start, end = (_time(text) for text in written)
        if start == end:
            raise ValueError("Quiet hours must not begin and end at the same time.")
        return cls(start, end)

    def hold(self, local: datetime) -> bool:
        """Whether they apply at this local time."""
        clock = local.time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}–{self.end:%H:%M}"


@dataclass(frozen=True, slots=True)
class CalleeTime:
    """The possible local times of a number, without duplicates, earliest first.

    If its time zone is not `known`, they are those of the fallback. `quiet`: quiet hours apply.
    `again` is when they end, in the zone of the earliest local time. It is None if they do not
    apply, or if they always apply in one of the zones.
    """

    local: tuple[datetime, ...]
    known: bool
    quiet: bool
    again: datetime | None


def look(number: str, now: datetime, hours: QuietHours | None, fallback: tzinfo) -> CalleeTime:
    """The callee's local time at `now` (aware), and whether quiet hours apply. None as `hours`:
    there are none.
    """
    known = zones(number)
    possible: tuple[tzinfo, ...] = known or (fallback,)
    clocks = {at.replace(tzinfo=None): at for at in map(now.astimezone, possible)}
    local = tuple(clocks[time] for time in sorted(clocks))
    quiet = hours is not None and any(hours.hold(at) for at in local)
    again = _again(possible, now, hours) if quiet and hours else None
    return CalleeTime(
        local=local,
        known=bool(known),
        quiet=quiet,
        again=again.astimezone(local[0].tzinfo) if again else None,
    )


def zones(number: str) -> tuple[ZoneInfo, ...]:
    """The possible time zones of this E.164 number. Empty if none is known.

    Numbers in a range that is not in the data can be anywhere in their country.
    """
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return ()
    whole_country = PhoneNumber(country_code=parsed.country_code, national_number=0)
    return tuple(
        _zones(time_zones_for_number(parsed))
        or _zones(time_zones_for_geographical_number(whole_country))
    )


def _zones(names: Sequence[str]) -> list[ZoneInfo]:
    return [zone for name in names if (zone := _zone(name)) is not None]


def _zone(name: str) -> ZoneInfo | None:
    if name == UNKNOWN_TIMEZONE:
        return None
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:  # the system's time zone data is of a different version
        return None


def _again(possible: Sequence[tzinfo], now: datetime, hours: QuietHours) -> datetime | None:
    """When quiet hours apply in none of the zones any longer, in UTC. None: never."""
    moment = now.astimezone(UTC)
    while moment < now + AHEAD:
        ends = [
            _end(local, hours) for zone in possible if hours.hold(local := moment.astimezone(zone))
        ]
        if not ends:
            return moment
        moment = max(ends)
    return None


def _end(local: datetime, hours: QuietHours) -> datetime:
    """The end, in UTC, of the quiet hours that apply at this local time."""
    end = local.replace(
        hour=hours.end.hour, minute=hours.end.minute, second=0, microsecond=0, fold=local.fold
    )
    if end.time() <= local.time():
        end = (local + DAY).replace(
            hour=hours.end.hour, minute=hours.end.minute, second=0, microsecond=0, fold=0
        )
    # Always move forward: an end occurs twice when clocks are set back.
    return max(end.astimezone(UTC), local.astimezone(UTC) + timedelta(minutes=1))


def _time(text: str) -> time:
    shape = len(text) == 5 and text[2] == ":" and text.isascii()
    if not shape or not (text[:2] + text[3:]).isdigit():
        raise ValueError(f"{text!r} is not a time of day such as '21:00'.")
    return time.fromisoformat(text)
