"""Moments and durations for people: in one format everywhere, in the current time zone."""

from __future__ import annotations

from datetime import datetime, tzinfo

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.html import format_html


def moment(at: datetime | None) -> str:
    """The date and the time, such as `11/29/2026 17:21:37`, for columns, and pages that name their
    time zone. "" for None.
    """
    if at is None:
        return ""
    local = timezone.localtime(at)
    return f"{date_format(local, 'SHORT_DATE_FORMAT')} {time_format(local.time(), 'H:i:s')}"


def moment_with_zone(at: datetime | None, zone: tzinfo | None = None) -> str:
    """The date and the time to the minute with the time zone, such as `11/29/2026 17:21 UTC`, for
    sentences: the current time zone, or another one. "" for None.
    """
    if at is None:
        return ""
    local = timezone.localtime(at, zone)
    date, time = date_format(local, "SHORT_DATE_FORMAT"), time_format(local.time(), "H:i")
    return f"{date} {time} {local.tzname()}"


def moment_cell(at: datetime | None, with_zone: bool = False) -> str:
    """The `moment` as HTML for a column, with the time zone as its tooltip, or also as text. "" for
    None.
    """
    if at is None:
        return ""
    local = timezone.localtime(at)
    return format_html(
        '<time dir="ltr" datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="seconds"),
        timezone.get_current_timezone_name(),
        f"{moment(at)} {local.tzname()}" if with_zone else moment(at),
    )


def clock(seconds: int | None) -> str:
    """Seconds as a phone displays them: 75 → `1:15`, 3675 → `1:01:15`."""
    minutes, rest = divmod(seconds or 0, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
