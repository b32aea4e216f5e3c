"""The columns of a report: figures for people, their changes, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..calls.currencies import common_currency
from ..reports.figures import Figures
from ..shared.moments import clock

NOTHING = "–"
MINUS = "\N{MINUS SIGN}"
FEWEST_CALLS = 10  # for a mean or a share that can be an outlier


@dataclass(frozen=True, slots=True)
class Column:
    """A figure. `of` is its value as a number, in `unit`; `write` formats one."""

    title: Any
    of: Callable[[Figures], float | Decimal | None]
    write: Callable[[Any], str]
    unit: Any = ""  # in captions of charts
    meaning: Any = ""
    base: Callable[[Figures], int] | None = None  # the calls that a mean or a share is of

    def text(self, figures: Figures) -> str:
        """The figure for display."""
        value = self.of(figures)
        return NOTHING if value is None else self.write(value)

    def change(self, now: Figures, before: Figures) -> str:
        """By how much the figure is higher or lower than before, and for totals by which share. ""
        if either is not known.
        """
        new, old = self.of(now), self.of(before)
        if new is None or old is None:
            return ""
        difference: Any = Decimal(new) - Decimal(old)
        if self._rounds_to_zero(abs(difference)):
            return "±0"
        sign = "+" if difference > 0 else MINUS
        if self.unit == "%":
            points = _tenths(abs(difference))
            return gettext("%(points)s percentage points") % {"points": f"{sign}{points}"}
        words = f"{sign}{self.write(abs(difference))}"
        if self.base is not None or not old:
            return words
        return f"{words} ({sign}{percent(abs(difference) * 100 / Decimal(old))})"

    def _rounds_to_zero(self, difference: Decimal) -> bool:
        """Whether the difference is too small to be displayed."""
        write = _tenths if self.unit == "%" else self.write
        return write(difference) == write(Decimal(0))

    @property
    def caption(self) -> str:
        """The title with its unit."""
        unit = self.unit() if callable(self.unit) else self.unit
        return f"{self.title} ({unit})" if unit else str(self.title)

    @property
    def heading(self) -> str:
        """The title with its currency, if it is money."""
        return self.caption if callable(self.unit) else str(self.title)


def whole(value: Any) -> str:
    return number_format(int(value), use_l10n=True, force_grouping=True)


def percent(value: Any) -> str:
    return f"{number_format(round(value, 1), 1)}\N{NO-BREAK SPACE}%"


def _tenths(value: Any) -> str:
    return number_format(round(value, 1), 1, force_grouping=True)


def _seconds(value: Any) -> str:
    return f"{_tenths(value)}\N{NO-BREAK SPACE}s"


def _money(value: Any) -> str:
    exact = Decimal(value).quantize(Decimal("0.001"), ROUND_HALF_UP)
    return number_format(exact, 3, force_grouping=True)


def minutes(length: timedelta) -> float:
    """A time in minutes."""
    return length / timedelta(minutes=1)


def _share(ratio: float | None) -> float | None:
    return None if ratio is None else ratio * 100


def _length(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


COLUMNS: dict[str, Column] = {
    "calls": Column(_("Calls"), lambda figures: figures.calls, whole),
    "answered": Column(_("Answered"), lambda figures: figures.answered, whole),
    "asr": Column(
        _("Answer rate"),
        lambda figures: _share(figures.asr),
        percent,
        "%",
        _(
            "ASR (answer-seizure ratio): the share of callees who answered, of those whose phone"
            " rang."
        ),
        lambda figures: figures.seizures,
    ),
    "ner": Column(
        _("Reached"),
        lambda figures: _share(figures.ner),
        percent,
        "%",
        _("NER (network effectiveness ratio): the share of requested calls that reached a phone."),
        lambda figures: figures.requested,
    ),
    "talk": Column(
        _("Talk minutes"),
        lambda figures: minutes(figures.talk),
        _tenths,
        meaning=_("How many minutes the caller and the callee talked, in all calls together."),
    ),
    "acd": Column(
        _("Average talk time"),
        lambda figures: _length(figures.acd),
        lambda value: clock(round(value)),
        _("seconds"),
        _("ACD (average call duration): how long the caller and the callee talked."),
        lambda figures: figures.talks,
    ),
    "pdd": Column(
        _("Time to ring"),
        lambda figures: _length(figures.pdd),
        _seconds,
        _("seconds"),
        _("PDD (post-dial delay): the time from the request until the first phone rings."),
        lambda figures: figures.delays,
    ),
    "spend": Column(_("Spend"), lambda figures: figures.spend, _money, common_currency),
}


def counts(column: Column, figures: Figures) -> bool:
    """Whether a row's figure is of enough calls to compare it with those of the other rows."""
    return figures.calls > 0 if column.base is None else column.base(figures) >= FEWEST_CALLS
