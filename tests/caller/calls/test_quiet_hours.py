"""Quiet hours in the callee's time zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core import checks
from django.utils import timezone
from hypothesis import assume, given
from hypothesis import strategies as st

from django_poketalk.calls import quiet_hours, requesting
from django_poketalk.calls.quiet_hours import QuietHours
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallRequest

NIGHT = QuietHours.parse(("21:00", "08:00"))
BERLIN = ZoneInfo("Europe/Berlin")

LONDON = "+442079460123"
NEW_YORK = "+12125550123"
TOKYO = "+81312345678"
KOLKATA = "+911123456789"
RUSSIAN_MOBILE = "+79161234567"
AMERICAN_FREEPHONE = "+18005550123"
SATELLITE = "+870773111632"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def look(
    number: str, now: str, hours: QuietHours | None = NIGHT, fallback: ZoneInfo = BERLIN
) -> quiet_hours.CalleeTime:
    return quiet_hours.look(number, utc(now), hours, fallback)


# Quiet hours


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [
        ("20:59", False),
        ("21:00", True),
        ("23:59", True),
        ("00:00", True),
        ("07:59", True),
        ("08:00", False),
        ("12:00", False),
    ],
)
def test_quiet_hours_can_span_midnight(clock: str, quiet: bool) -> None:
    assert NIGHT.hold(datetime.fromisoformat(f"2026-07-01T{clock}")) is quiet


@pytest.mark.parametrize(("clock", "quiet"), [("12:59", False), ("13:00", True), ("14:00", False)])
def test_quiet_hours_can_be_within_a_day(clock: str, quiet: bool) -> None:
    siesta = QuietHours.parse(["13:00", "14:00"])

    assert siesta.hold(datetime.fromisoformat(f"2026-07-01T{clock}")) is quiet


@pytest.mark.parametrize(
    "written",
    [
        (),
        ("21:00",),
        ("21:00", "08:00", "09:00"),
        ("21:00", "21:00"),
        ("9pm", "8am"),
        ("21:00", "24:00"),
        ("21:00", "08:60"),
        ("21", "08"),
        ("21:00:00", "08:00"),
        ("٢١:٠٠", "08:00"),
    ],
)
def test_an_invalid_time_is_an_error(written: tuple[str, ...], poketalk: Any) -> None:
    with pytest.raises(ValueError, match=r"\."):
        QuietHours.parse(written)
    poketalk(QUIET_HOURS=written)

    [message] = checks.run_checks(tags=["poketalk"])

    assert message.id == "poketalk.E008"
    assert "21:00" in str(message.hint)


@pytest.mark.parametrize("value", ["21:00-08:00", (21, 8), 21])
def test_a_value_of_another_type_is_an_error(value: Any, poketalk: Any) -> None:
    poketalk(QUIET_HOURS=value)

    assert [message.id for message in checks.run_checks(tags=["poketalk"])] == ["poketalk.E002"]


# Time zones


@pytest.mark.parametrize(
    ("number", "clock"),
    [(LONDON, "13:00"), (NEW_YORK, "08:00"), (TOKYO, "21:00"), (KOLKATA, "17:30")],
)
def test_the_local_time_is_that_of_the_number(number: str, clock: str) -> None:
    seen = look(number, "2026-07-01T12:00")

    assert [f"{at:%H:%M}" for at in seen.local] == [clock]
    assert seen.known


def test_daylight_saving_time_is_that_of_the_callee() -> None:
    winter, summer = look(LONDON, "2026-03-28T20:30"), look(LONDON, "2026-03-29T20:30")

    assert (winter.quiet, summer.quiet) == (False, True)  # 20:30 and 21:30


def test_quiet_hours_end_by_local_time_when_clocks_change() -> None:
    for day, end in (("2026-03-28", "2026-03-29T07:00"), ("2026-10-24", "2026-10-25T08:00")):
        assert look(LONDON, f"{day}T22:00").again == utc(end)


@pytest.mark.parametrize(
    ("now", "hours", "quiet", "again"),
    [
        # Clocks in London go from 02:00 BST back to 01:00 GMT at 01:00 UTC: 01:30 comes twice.
        ("2026-10-25T00:10", ("21:00", "01:30"), True, "2026-10-25T00:30"),
        ("2026-10-25T00:40", ("21:00", "01:30"), False, None),
        ("2026-10-25T01:10", ("21:00", "01:30"), True, "2026-10-25T01:30"),
        # They go from 01:00 GMT on to 02:00 BST at 01:00 UTC: there is no 01:30.
        ("2026-03-29T00:59", ("21:00", "01:30"), True, "2026-03-29T01:30"),
        ("2026-03-29T01:00", ("21:00", "01:30"), False, None),
    ],
)
def test_an_end_that_occurs_twice_or_never_is_handled(
    now: str, hours: tuple[str, str], quiet: bool, again: str | None
) -> None:
    seen = look(LONDON, now, QuietHours.parse(hours))

    assert seen.quiet is quiet
    # In UTC: local times that come twice are unequal to all others.
    assert (seen.again and seen.again.astimezone(UTC)) == (utc(again) if again else None)


def test_all_possible_time_zones_of_a_number_count() -> None:
    # In winter, Kaliningrad is at +2, Kamchatka at +12.
    allowed = [
        hour for hour in range(24) if not look(RUSSIAN_MOBILE, f"2026-01-10T{hour:02}:00").quiet
    ]

    assert allowed == [6, 7, 8]
    seen = look(RUSSIAN_MOBILE, "2026-01-10T12:00")
    assert (f"{seen.local[0]:%H:%M}", f"{seen.local[-1]:%d. %H:%M}") == ("14:00", "11. 00:00")
    assert seen.again is not None
    assert seen.again == utc("2026-01-11T06:00")


def test_quiet_hours_in_all_zones_together_may_never_end() -> None:
    seen = look(AMERICAN_FREEPHONE, "2026-07-01T18:00", QuietHours.parse(("18:00", "09:00")))

    assert (seen.quiet, seen.again) == (True, None)


def test_zones_with_the_same_time_are_merged() -> None:
    seen = look("+447911123456", "2026-07-01T12:00")  # London, Guernsey, Jersey, Isle of Man

    assert len(seen.local) == 1


@pytest.mark.parametrize("number", [SATELLITE, "+80012345678", "no number", ""])
def test_the_site_s_time_zone_applies_if_the_number_s_is_not_known(number: str) -> None:
    day, night = look(number, "2026-07-01T12:00"), look(number, "2026-07-01T20:00")

    assert (day.known, f"{day.local[0]:%H:%M}", day.quiet) == (False, "14:00", False)
    assert night.quiet  # 22:00 in Berlin


def test_an_unknown_range_has_the_time_zones_of_its_country() -> None:
    assert [zone.key for zone in quiet_hours.zones("+4512345")] == ["Europe/Copenhagen"]


def test_without_quiet_hours_the_local_time_is_known() -> None:
    seen = look(LONDON, "2026-07-01T02:00", None)

    assert (f"{seen.local[0]:%H:%M}", seen.quiet, seen.again) == ("03:00", False, None)


CLOCKS = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
NUMBERS = st.sampled_from([LONDON, NEW_YORK, TOKYO, KOLKATA, RUSSIAN_MOBILE, AMERICAN_FREEPHONE])
MINUTES = st.integers(0, 2 * 365 * 24 * 60)  # of two years


@given(NUMBERS, MINUTES, CLOCKS, CLOCKS)
def test_calls_are_allowed_at_the_announced_time(
    number: str, minute: int, start: time, end: time
) -> None:
    assume(start != end)
    now = utc("2026-01-01T00:00") + timedelta(minutes=minute)
    hours = QuietHours(start, end)

    seen = quiet_hours.look(number, now, hours, BERLIN)

    if seen.again is not None:
        assert seen.again > now
        assert seen.again - now < timedelta(days=2, hours=1)
        assert not quiet_hours.look(number, seen.again, hours, BERLIN).quiet
        halfway = now + (seen.again - now) / 2
        if len(seen.local) == 1 and (seen.again - now) < timedelta(hours=23):
            clock_change = seen.again.utcoffset() != seen.local[0].utcoffset()
            assert clock_change or quiet_hours.look(number, halfway, hours, BERLIN).quiet


# Calls


@pytest.fixture
def night(poketalk: Callable[..., None]) -> None:
    poketalk(QUIET_HOURS=("21:00", "08:00"))


def refusal(make: Callable[..., CallRequest], **order: Any) -> CallRefused:
    with pytest.raises(CallRefused) as refused:
        make(**order)
    return refused.value


@pytest.mark.usefixtures("night")
def test_a_refusal_names_the_times_of_callee_and_caller(
    new_call: Callable[..., CallRequest],
) -> None:
    with time_machine.travel(utc("2026-07-01T09:00"), tick=False):
        why = refusal(new_call, to_number=NEW_YORK)

    assert (why.code, why.field) == ("quiet_hours", "to_number")
    assert str(why) == (
        "It is 05:00 at +1 212-555-0123, which is within quiet hours. Calls are allowed again from"
        " 07/01/2026 08:00 EDT there, 07/01/2026 12:00 UTC your time."
    )
    assert not CallRequest.objects.exists()


@pytest.mark.usefixtures("night")
def test_quiet_hours_do_not_apply_to_the_caller(
    new_call: Callable[..., CallRequest],
) -> None:
    with time_machine.travel(utc("2026-07-01T22:00"), tick=False):
        assert new_call(from_number=LONDON, to_number=NEW_YORK).pk
        assert refusal(new_call, to_number=LONDON).code == "quiet_hours"


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize(
    ("number", "now", "says"),
    [
        (RUSSIAN_MOBILE, "2026-01-10T12:00", "It may be between 14:00 and 00:00 at"),
        (RUSSIAN_MOBILE, "2026-01-10T12:00", "again from 01/11/2026 06:00 UTC, your time."),
        (SATELLITE, "2026-07-01T22:00", "It is 22:00 here"),
        (SATELLITE, "2026-07-01T22:00", "The time zone of +870 773 111 632 is not known"),
    ],
)
def test_the_refusal_says_if_the_time_zone_is_not_certain(
    number: str, now: str, says: str, new_call: Callable[..., CallRequest], poketalk: Any
) -> None:
    poketalk(ALLOW_SATELLITE=True, QUIET_HOURS=("21:00", "08:00"))

    with time_machine.travel(utc(now), tick=False):
        assert says in str(refusal(new_call, to_number=number))


def test_the_refusal_says_if_quiet_hours_never_end(
    new_call: Callable[..., CallRequest], poketalk: Any
) -> None:
    poketalk(QUIET_HOURS=("18:00", "09:00"))

    with time_machine.travel(utc("2026-07-01T18:00"), tick=False):
        why = refusal(new_call, to_number=AMERICAN_FREEPHONE)

    assert "always quiet hours in one of its time zones" in str(why)


@pytest.mark.usefixtures("night")
def test_the_refusal_uses_the_current_time_zone(new_call: Callable[..., CallRequest]) -> None:
    with time_machine.travel(utc("2026-07-01T09:00"), tick=False), timezone.override("Asia/Tokyo"):
        assert "07/01/2026 21:00" in str(refusal(new_call, to_number=NEW_YORK))


@pytest.mark.usefixtures("night")
def test_a_scheduled_call_is_checked_for_its_own_time(
    new_call: Callable[..., CallRequest],
) -> None:
    with time_machine.travel(utc("2026-07-01T22:00"), tick=False):
        assert new_call(not_before=utc("2026-07-02T08:00")).pk
    with time_machine.travel(utc("2026-07-01T12:00"), tick=False):
        assert refusal(new_call, not_before=utc("2026-07-01T22:00")).code == "quiet_hours"


def test_there_are_no_quiet_hours_by_default(new_call: Callable[..., CallRequest]) -> None:
    with time_machine.travel(utc("2026-07-01T02:00"), tick=False):
        assert new_call().pk


@pytest.mark.usefixtures("night")
def test_a_repeated_request_is_returned_during_quiet_hours(
    new_call: Callable[..., CallRequest], user: Any
) -> None:
    with time_machine.travel(utc("2026-07-01T19:59"), tick=False):
        made = new_call(user=user, idempotency_key="click")
    with time_machine.travel(utc("2026-07-01T20:01"), tick=False):
        assert new_call(user=user, idempotency_key="click").pk == made.pk
        with pytest.raises(CallRefused):
            requesting.request_call(from_number=NEW_YORK, to_number=LONDON, user=user)
