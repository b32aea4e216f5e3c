"""When nobody wants to be rung: hours of the day, in the callee's time zone.

Pure: the time comes in as an argument, and what is known of numbers is Google's data. A country
code or area code tells one zone or several; a mobile number of a large country can be anywhere in
it. Then quiet hours hold for as long as they hold in any of the zones: better a call too few.
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
AHEAD = timedelta(days=2)  # what does not end by then never ends


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` on, before `end`, every day; over midnight where `end` is the earlier one."""

    start: time
    end: time

    @classmethod
    def parse(cls, written: Sequence[str]) -> QuietHours:
        """Those of two texts such as `("21:00", "08:00")`; ValueError for anything else."""
        if len(written) != 2:
            raise ValueError(f"{written!r} is not a beginning and an end.")
        start, end = (_time(text) for text in written)
        if start == end:
            raise ValueError("They begin and end at the same time.")
        return cls(start, end)

    def hold(self, local: datetime) -> bool:
        """Whether they hold while clocks show this."""
        clock = local.time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}–{self.end:%H:%M}"


@dataclass(frozen=True, slots=True)
class CalleeTime:
    """What clocks show where a number may be, the earliest first; one where all show the same.

    Where its zone is not `known`, that of the `fallback` is taken. `again`, in the zone of the
    earliest clock, is when it may be called while quiet hours hold; None where they don't hold, or
    where they always hold somewhere.
    """

    local: tuple[datetime, ...]
    known: bool
    quiet: bool
    again: datetime | None


def look(number: str, now: datetime, hours: QuietHours | None, fallback: tzinfo) -> CalleeTime:
    """The callee's time at `now` (aware), and whether quiet hours hold. `hours` None: they never
    do.
    """
    known = zones(number)
    possible: tuple[tzinfo, ...] = known or (fallback,)
    clocks = {at.replace(tzinfo=None): at for at in map(now.astimezone, possible)}
    local = tuple(clocks[shown] for shown in sorted(clocks))
    quiet = hours is not None and any(hours.hold(at) for at in local)
    again = _again(possible, now, hours) if quiet and hours else None
    return CalleeTime(
        local=local,
        known=bool(known),
        quiet=quiet,
        again=again.astimezone(local[0].tzinfo) if again else None,
    )


def zones(number: str) -> tuple[ZoneInfo, ...]:
    """The time zones in which a phone with this E.164 number may be; none where nothing is known.

    A range that the data does not know yet may be anywhere in its country.
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
    except ZoneInfoNotFoundError:  # newer than the system's data, or older
        return None


def _again(possible: Sequence[tzinfo], now: datetime, hours: QuietHours) -> datetime | None:
    """When they hold in none of the zones any more, in UTC."""
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
    """The next end of the quiet hours that hold at this local time, in UTC."""
    end = local.replace(
        hour=hours.end.hour, minute=hours.end.minute, second=0, microsecond=0, fold=local.fold
    )
    if end.time() <= local.time():
        end = (local + DAY).replace(
            hour=hours.end.hour, minute=hours.end.minute, second=0, microsecond=0, fold=0
        )
    # Never standing still: where clocks are set back, an end can come twice.
    return max(end.astimezone(UTC), local.astimezone(UTC) + timedelta(minutes=1))


def _time(text: str) -> time:
    shape = len(text) == 5 and text[2] == ":" and text.isascii()
    if not shape or not (text[:2] + text[3:]).isdigit():
        raise ValueError(f"{text!r} is not a time of day such as '21:00'.")
    return time.fromisoformat(text)
