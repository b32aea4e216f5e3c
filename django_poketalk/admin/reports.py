"""The page of reports: a period, and what was counted in it, as charts, as a table and as CSV."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..calls.currencies import common_currency
from ..models import CallRequest
from ..reports import traffic
from ..reports.figures import Figures
from ..reports.traffic import Period, Report, Row
from ..shared import csv_export
from ..shared.admin_pages import admin_url, render_page
from . import report_charts, report_table
from .report_columns import COLUMNS, minutes
from .report_dimensions import DIMENSIONS
from .report_form import ReportForm, defaults, presets
from .report_table import CHANGE, NOTHING, Order, by_key, cells

FROM_DAYS = {"day": traffic.days_of, "outcome": traffic.outcomes_of}  # no query more
CSV_COLUMNS = {
    **{name: name for name in ("calls", "seizures", "answered", "requested", "delivered")},
    "asr": "asr",
    "ner": "ner",
    "talk": "talk_minutes",
    "acd": "acd_seconds",
    "pdd": "pdd_seconds",
    "spend": "spend",
}
CSV_BEFORE = {"calls": "calls_before", "talk": "talk_minutes_before", "spend": "spend_before"}


def reports_view(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponseBase:
    """The report of a period; with `format=csv` as a CSV file."""
    if not permissions.may_see_reports(request.user):
        raise PermissionDenied
    today = timezone.localdate()
    values = {name: str(request.GET.get(name) or value) for name, value in defaults(today).items()}
    form = ReportForm(values)
    context: dict[str, Any] = {
        "title": _("Reports"),
        "form": form,
        "presets": [*presets(today, values)],
    }
    if form.is_valid():
        chosen = form.cleaned_data
        by, period, order = chosen["by"], chosen["period"], Order.read(chosen["sort"])
        calls = _calls(request, chosen)
        found = traffic.outcomes_by_day(calls, period) if by in FROM_DAYS else {}
        report = FROM_DAYS[by](found) if by in FROM_DAYS else traffic.BY[by](calls, period)
        report, pins = _with_chosen(by, report, chosen)
        before = _before(by, calls, period)
        report = report_table.sort(DIMENSIONS[by], report, order, before)
        if request.GET.get("format") == "csv":
            csv_export.log(request, CallRequest, "Downloaded a report as CSV.")
            return _csv(by, period, report, before)
        column = report_charts.second_column(order.figure)
        links = [_link(by, row, chosen, model_admin.admin_site) for row in report.rows]
        context |= _table(by, period, report, before, order, links)
        context |= (
            report_charts.by_time(found, period, column)
            if by in FROM_DAYS
            else report_charts.by_group(DIMENSIONS[by], report, column, pins)
        )
        context["head"] = _head(by, order, values, bool(before and by != "day"))
        context["csv"] = urlencode({**values, "format": "csv"})
    return render_page(model_admin, request, "poketalk/admin/reports.html", context)


def _calls(request: HttpRequest, chosen: dict[str, Any]) -> QuerySet[CallRequest]:
    """The calls that the user may see, of the chosen user and team."""
    calls: QuerySet[CallRequest] = permissions.visible_calls(request.user)
    if chosen["user"] is not None:
        calls = calls.filter(user=chosen["user"])
    if chosen.get("team"):
        members: Any = get_user_model()._default_manager.filter(groups=chosen["team"][0])
        calls = calls.filter(user__in=members.values("pk"))
    return calls


def _with_chosen(by: str, report: Report, chosen: dict[str, Any]) -> tuple[Report, set[Any]]:
    """The report with a row for the user or the team that it is about, also without calls; and the
    key of that row.
    """
    user, team = chosen["user"], chosen.get("team")
    if by == "user" and user is not None:
        return report_table.pinned(report, Row(user.pk, user.get_username(), Figures())), {user.pk}
    if by == "team" and team:
        return report_table.pinned(report, Row(team[0], team[1], Figures())), {team[0]}
    return report, set()


def _before(by: str, calls: QuerySet[CallRequest], period: Period) -> Report | None:
    """The report of the period before. By day, only its total."""
    before = period.before()
    if before is None:
        return None
    return traffic.by_service(calls, before) if by == "day" else traffic.BY[by](calls, before)


def _table(
    by: str,
    period: Period,
    report: Report,
    before: Report | None,
    order: Order,
    links: list[str],
) -> dict[str, Any]:
    dimension = DIMENSIONS[by]
    usual, old = report_table.fences(report.rows), by_key(before)
    compared = order.figure if before and by != "day" else ""
    rows = [
        {
            "label": dimension.label(row),
            "cells": cells(row.figures, usual, compared, old.get(row.key, NOTHING)),
            "link": link,
        }
        for row, link in zip(report.rows, links, strict=True)
    ]
    tiles = [
        {
            "title": column.heading,
            "why": column.meaning,
            "total": column.text(report.total),
            "change": column.change(report.total, before.total) if before else "",
            "before": column.text(before.total) if before else "",
        }
        for column in COLUMNS.values()
    ]
    return {
        "period": period,
        "period_before": period.before() if before else None,
        "tiles": tiles,
        "rows": rows,
        "totals": cells(report.total, {}, compared, before.total if before else NOTHING),
        "has_unusual": any(cell["unusual"][0] for row in rows for cell in row["cells"]),
        "counts_twice": by == "team",
        "is_empty": report.total.calls == 0,
    }


def _head(by: str, order: Order, values: dict[str, str], has_changes: bool) -> list[dict[str, Any]]:
    """The headings of the table, each with the link that sorts by it."""
    headings: list[tuple[str, Any, Any]] = [("key", DIMENSIONS[by].title, "")]
    for name, column in COLUMNS.items():
        headings.append((name, column.heading, column.meaning))
        if has_changes and name == order.figure:
            why = _("The difference from the period before.")
            headings.append((f"{name}{CHANGE}", _("Change"), why))
    return [
        {
            "title": title,
            "why": why,
            "sorted": order.aria(name),
            "query": urlencode({**values, "sort": order.link(name)}),
        }
        for name, title, why in headings
    ]


def _link(by: str, row: Row, chosen: dict[str, Any], site: admin.AdminSite) -> str:
    """The address of the list with the same calls, as far as its filters allow."""
    period, user, team = chosen["period"], chosen["user"], chosen.get("team")
    filters = DIMENSIONS[by].filters(row)
    if not filters:
        return ""
    query = {"day": f"{period.first}..{period.last}"}
    if user is not None:
        query["user"] = user.get_username()
    if team:
        query["team"] = str(team[0])
    return f"{admin_url(site, 'poketalk_callrequest_changelist')}?{urlencode({**query, **filters})}"


def _csv(by: str, period: Period, report: Report, before: Report | None) -> HttpResponseBase:
    """The rows in the order of the page, with the codes of countries and outcomes beside their
    names, and what was counted in the period before.
    """
    dimension = DIMENSIONS[by]
    old = by_key(before) if before and by != "day" else None
    header = [dimension.title, "key", *CSV_COLUMNS.values(), "currency"]
    currency = common_currency()
    if old is not None:
        header += CSV_BEFORE.values()

    def line(label: Any, key: str, figures: Figures, former: Figures) -> list[Any]:
        cells = [label, key, *(_csv_cell(figures, name) for name in CSV_COLUMNS), currency]
        return cells if old is None else cells + [_csv_cell(former, name) for name in CSV_BEFORE]

    lines = [
        line(
            dimension.label(row),
            dimension.code(row),
            row.figures,
            (old or {}).get(row.key, NOTHING),
        )
        for row in report.rows
    ]
    lines.append(line(_("all"), "", report.total, before.total if before else NOTHING))
    return csv_export.stream(f"calls-by-{by}-{period.first}-{period.last}.csv", header, lines)


def _csv_cell(figures: Figures, name: str) -> Any:
    """Shares with four decimals, minutes with two, times in seconds with one."""
    figure = getattr(figures, name)
    if name == "talk":
        return round(minutes(figure), 2)
    if isinstance(figure, timedelta):
        return round(figure.total_seconds(), 1)
    return round(figure, 4) if isinstance(figure, float) else figure
