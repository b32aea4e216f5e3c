"""The page of reports: a period, and what was counted in it, as charts, as a table and as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.http import urlencode
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..models import CallRequest
from ..reports import charts, traffic
from ..reports.outcomes import Outcome
from ..reports.traffic import Figures, Period, Report, Row
from ..shared import csv_export
from ..shared.admin_pages import admin_url, render_page
from ..templatetags.poketalk import clock

DEFAULT_DAYS = 30
BARS = 62  # days that are still seen one by one; more are put together by the week
DAILY = (_("Calls per day, by outcome"), _("Spend per day"))
WEEKLY = (_("Calls per week, by outcome"), _("Spend per week"))
GROUPED = {
    "user": (_("Calls by user"), _("Spend by user")),
    "country": (_("Calls by country called"), _("Spend by country called")),
}
MOST_GROUPS = 7  # with a bar of their own
MOST_LETTERS = 12  # below a bar
GROUPS = {
    "day": _("day"),
    "user": _("user"),
    "country": _("country called"),
    "outcome": _("outcome"),
}
COLUMNS = {
    "calls": _("Calls"),
    "answered": _("Answered"),
    "asr": _("Answer rate"),
    "ner": _("Reached"),
    "acd": _("Average talk time"),
    "pdd": _("Time to ring"),
    "spend": _("Spend"),
}
CSV_COLUMNS = {
    **{name: name for name in ("calls", "seizures", "answered", "requested", "delivered")},
    "asr": "asr",
    "ner": "ner",
    "acd": "acd_seconds",
    "pdd": "pdd_seconds",
    "spend": "spend",
}
FROM_DAYS = {"day": traffic.days_of, "outcome": traffic.outcomes_of}  # no query more
MEANINGS = {
    "asr": _("ASR (answer-seizure ratio): the share of callees whose phone rang who answered."),
    "ner": _(
        "NER (network effectiveness ratio): the share of requested calls that reached a phone."
    ),
    "acd": _("ACD (average call duration): how long the caller and the callee talked."),
    "pdd": _("PDD (post-dial delay): the time from the request until the first phone rings."),
}


class ReportForm(forms.Form):
    """The period, the user and the grouping of a report."""

    first = forms.DateField(label=_("From"))
    last = forms.DateField(label=_("To"))
    by = forms.ChoiceField(label=_("By"), choices=[*GROUPS.items()])
    user = forms.CharField(label=_("User name"), required=False, max_length=150)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("first", "last"):
            self.fields[name].widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def clean_user(self) -> Any:
        """The user with this name; None without a name."""
        users: Any = get_user_model()
        name = self.cleaned_data["user"]
        if not name:
            return None
        found = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
        if found is None:
            raise forms.ValidationError(_("There is no user with this name."))
        return found

    def clean(self) -> dict[str, Any]:
        """Set `period` if the days are valid."""
        cleaned = super().clean() or self.cleaned_data
        first, last = cleaned.get("first"), cleaned.get("last")
        if first and last:
            if first > last:
                raise forms.ValidationError(_("The first day must not be after the last."))
            if first < traffic.EARLIEST or last > traffic.LATEST:
                raise forms.ValidationError(
                    _("A report covers days from %(first)s to %(last)s."),
                    params={"first": traffic.EARLIEST, "last": traffic.LATEST},
                )
            if (last - first).days >= traffic.MAX_DAYS:
                raise forms.ValidationError(
                    _("A report covers at most %(days)s days."), params={"days": traffic.MAX_DAYS}
                )
            cleaned["period"] = Period(first, last)
        return cleaned


def reports_view(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponseBase:
    """The report of a period; with `format=csv` as a CSV file."""
    if not permissions.may_see_reports(request.user):
        raise PermissionDenied
    today = timezone.localdate()
    defaults = {
        "first": (today - timedelta(days=DEFAULT_DAYS - 1)).isoformat(),
        "last": today.isoformat(),
        "by": "day",
        "user": "",
    }
    values = {name: str(request.GET.get(name) or value) for name, value in defaults.items()}
    form = ReportForm(values)
    context = {
        "title": _("Reports"),
        "form": form,
        "presets": [*_presets(today, values["by"], values["user"])],
    }
    if form.is_valid():
        by, period, user = (form.cleaned_data[name] for name in ("by", "period", "user"))
        calls = CallRequest.objects.all()
        if user is not None:
            calls = calls.filter(user=user)
        if request.GET.get("format") == "csv":
            csv_export.log(request, CallRequest, "Downloaded a report as CSV.")
            return _csv(by, period, traffic.BY[by](calls, period))
        found = traffic.outcomes_by_day(calls, period)
        report = FROM_DAYS[by](found) if by in FROM_DAYS else traffic.BY[by](calls, period)
        context |= _shown(by, period, report, user, model_admin.admin_site)
        context |= _charts_of(by, report) if by in GROUPED else _charts(found, period)
        context["csv"] = urlencode({**values, "format": "csv"})
    return render_page(model_admin, request, "poketalk/admin/reports.html", context)


def _presets(today: date, by: str, user: str) -> Iterator[dict[str, Any]]:
    month = today.replace(day=1)
    before = month - timedelta(days=1)
    for words, first, last in (
        (_("Today"), today, today),
        (_("7 days"), today - timedelta(days=6), today),
        (_("30 days"), today - timedelta(days=29), today),
        (_("This month"), month, today),
        (_("Last month"), before.replace(day=1), before),
    ):
        query = {"first": first.isoformat(), "last": last.isoformat(), "by": by, "user": user}
        yield {"words": words, "query": urlencode(query)}


def _shown(
    by: str, period: Period, report: Report, user: Any, site: admin.AdminSite
) -> dict[str, Any]:
    rows = [
        {
            "label": _label(by, row),
            "cells": _cells(row.figures),
            "link": _link(by, row, period, user, site),
        }
        for row in report.rows
    ]
    columns = [
        {"words": words, "why": MEANINGS.get(key), "total": total}
        for (key, words), total in zip(COLUMNS.items(), _cells(report.total), strict=True)
    ]
    return {
        "period": period,
        "by": GROUPS[by],
        "columns": columns,
        "rows": rows,
        "is_empty": report.total.calls == 0,
    }


def _charts(found: traffic.OutcomesByDay, period: Period) -> dict[str, Any]:
    counts, spend = [], []
    for label, days in _spans(period):
        parts = traffic.outcomes_of({day: found[day] for day in days})
        counts.append((label, {row.key: row.figures.calls for row in parts.rows}))
        spend.append((label, {"spend": float(parts.total.spend)}))
    seen = {key for _label, values in counts for key in values}
    words: dict[str, str] = {outcome: str(outcome.label) for outcome in Outcome if outcome in seen}
    return _drawn(DAILY if len(period) <= BARS else WEEKLY, counts, words, spend)


def _charts_of(by: str, report: Report) -> dict[str, Any]:
    """A bar for each of the first rows, and one for what all others add up to."""
    bars = [(str(_label(by, row)), row.figures) for row in report.rows[:MOST_GROUPS]]
    if others := report.rows[MOST_GROUPS:]:
        bars.append((str(_("others")), sum((row.figures for row in others), Figures())))
    named = [(Truncator(label).chars(MOST_LETTERS), figures) for label, figures in bars]
    return _drawn(
        GROUPED[by],
        [
            (label, {"connected": each.answered, "unanswered": each.calls - each.answered})
            for label, each in named
        ],
        {"connected": str(_("Answered")), "unanswered": str(_("Not answered"))},
        [(label, {"spend": float(each.spend)}) for label, each in named],
    )


def _drawn(
    captions: tuple[Any, Any], counts: list[Any], words: dict[str, str], spend: list[Any]
) -> dict[str, Any]:
    return {
        "calls_caption": captions[0],
        "calls_chart": charts.stacked(counts, words, whole=True, write=_amount),
        "spend_caption": captions[1],
        "spend_chart": charts.stacked(spend, {"spend": str(_("Spend"))}, write=_amount),
        "legend": [*words.items()],
    }


def _spans(period: Period) -> list[tuple[str, list[date]]]:
    """The days, or the weeks of a long period, each with its label."""
    step = 1 if len(period) <= BARS else 7
    days = period.days
    chunks = [days[start : start + step] for start in range(0, len(days), step)]
    return [(date_format(chunk[0], "SHORT_DATE_FORMAT"), chunk) for chunk in chunks]


def _label(by: str, row: Row) -> Any:
    match by:
        case "day":
            return date_format(row.key, "DATE_FORMAT")
        case "user":
            return row.label or _("nobody")
        case "country":
            return row.key or _("not known")
        case _:
            return Outcome(row.key).label


def _link(by: str, row: Row, period: Period, user: Any, site: admin.AdminSite) -> str:
    """The address of the list with the same calls, as far as its filters allow."""
    query = {"day": f"{period.first}..{period.last}"}
    if user is not None:
        query["user"] = user.get_username()
    match by:
        case "day":
            query["day"] = row.key.isoformat()
        case "user" if row.label:
            query["user"] = row.label
        case "outcome":
            query["outcome"] = row.key
        case _:
            return ""
    return f"{admin_url(site, 'poketalk_callrequest_changelist')}?{urlencode(query)}"


def _cells(figures: Figures) -> list[str]:
    return [
        number_format(figures.calls, use_l10n=True, force_grouping=True),
        number_format(figures.answered, use_l10n=True, force_grouping=True),
        _percent(figures.asr),
        _percent(figures.ner),
        _clock(figures.acd),
        _seconds(figures.pdd),
        number_format(figures.spend, 3, force_grouping=True),
    ]


def _amount(value: float) -> str:
    """With as many decimals as it has, up to those of money."""
    exact = Decimal(str(round(value, 6))).normalize()
    return number_format(f"{exact:f}", force_grouping=True)


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{number_format(round(ratio * 100, 1), 1)}\N{NO-BREAK SPACE}%"


def _clock(length: timedelta | None) -> str:
    return "–" if length is None else clock(round(length.total_seconds()))


def _seconds(length: timedelta | None) -> str:
    if length is None:
        return "–"
    return f"{number_format(round(length.total_seconds(), 1), 1)}\N{NO-BREAK SPACE}s"


def _csv(by: str, period: Period, report: Report) -> HttpResponseBase:
    named = [
        (row.key.isoformat() if by == "day" else _label(by, row), row.figures)
        for row in report.rows
    ]
    rows = [
        (name, *(_csv_cell(getattr(figures, figure)) for figure in CSV_COLUMNS))
        for name, figures in [*named, (_("all"), report.total)]
    ]
    filename = f"calls-by-{by}-{period.first}-{period.last}.csv"
    return csv_export.stream(filename, [GROUPS[by], *CSV_COLUMNS.values()], rows)


def _csv_cell(figure: Any) -> Any:
    """Shares with four decimals, times in seconds with one."""
    if isinstance(figure, timedelta):
        return round(figure.total_seconds(), 1)
    return round(figure, 4) if isinstance(figure, float) else figure
