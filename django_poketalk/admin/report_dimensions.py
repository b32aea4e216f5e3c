"""What the calls of a report can be grouped by, in one table, for the page and for the CSV file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from ..conf import aliases, settings
from ..models.wrap_ups import disposition_label
from ..reports import traffic
from ..reports.outcomes import Outcome
from ..reports.traffic import Row
from ..shared import countries


def _always() -> bool:
    return True


def _no_code(row: Row) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A way to group calls. Its report is `traffic.BY` of the same name."""

    title: Any
    label: Callable[[Row], Any]  # the row's name for people
    filters: Callable[[Row], dict[str, str]]  # of the list of the row's calls; {}: there is none
    code: Callable[[Row], str] = _no_code  # the row's name for programs, if it is another
    is_possible: Callable[[], bool] = _always
    is_over_time: bool = False  # the charts are by day


DIMENSIONS: dict[str, Dimension] = {
    "day": Dimension(
        _("day"),
        lambda row: date_format(row.key, "DATE_FORMAT"),
        lambda row: {"day": row.key.isoformat()},
        lambda row: row.key.isoformat(),
        is_over_time=True,
    ),
    "user": Dimension(
        _("user"),
        lambda row: row.label or _("nobody"),
        lambda row: {"user": row.label} if row.label else {},
        lambda row: row.label,
    ),
    "team": Dimension(
        _("team"),
        lambda row: row.label or _("no team"),
        lambda row: {"team": str(row.key)} if row.key else {},
        lambda row: row.label,
        traffic.have_teams,
    ),
    "country": Dimension(
        _("country called"),
        lambda row: countries.name(row.key) if row.key else _("not known"),
        lambda row: {},
        lambda row: row.key,
    ),
    "outcome": Dimension(
        _("outcome"),
        lambda row: Outcome(row.key).label,
        lambda row: {"outcome": row.key},
        lambda row: row.key,
        is_over_time=True,
    ),
    "disposition": Dimension(
        _("result"),
        lambda row: disposition_label(row.key) if row.key else _("No result"),
        lambda row: {"result": row.key} if row.key else {},
        lambda row: row.key,
        lambda: bool(settings.dispositions),
    ),
    "service": Dimension(
        _("service"),
        lambda row: row.label,
        lambda row: {"service": row.key},
        lambda row: row.key,
        lambda: len(aliases()) > 1,
    ),
}


def possible() -> dict[str, Dimension]:
    """The dimensions that this project has."""
    return {name: each for name, each in DIMENSIONS.items() if each.is_possible()}
