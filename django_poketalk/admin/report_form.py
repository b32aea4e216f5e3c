"""The form of the reports: a period, whose calls, and by what to group them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from ..reports import traffic
from ..reports.traffic import Period
from . import report_dimensions

DEFAULT_DAYS = 30
MOST_TEAMS = 500  # in the menu


class ReportForm(forms.Form):
    """The period, the user or the team, and the grouping of a report."""

    first = forms.DateField(label=_("From"))
    last = forms.DateField(label=_("To"))
    by = forms.ChoiceField(label=_("By"))
    user = forms.CharField(label=_("User name"), required=False, max_length=150)
    team = forms.ChoiceField(label=_("Team"), required=False)
    sort = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        by: Any = self.fields["by"]
        by.choices = [(name, each.title) for name, each in report_dimensions.possible().items()]
        teams: list[tuple[Any, str]] = []
        if traffic.have_teams():
            groups = Group.objects.order_by("name").values_list("pk", "name")
            teams = [(str(pk), name) for pk, name in groups[:MOST_TEAMS]]
        if teams:
            team: Any = self.fields["team"]
            team.choices = [("", _("All")), *teams]
        else:
            del self.fields["team"]
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

    def clean_team(self) -> Any:
        """The primary key and the name of the group; None without one."""
        key = self.cleaned_data["team"]
        choices: Any = self.fields["team"]
        return (int(key), dict(choices.choices)[key]) if key else None

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


def defaults(today: date) -> dict[str, str]:
    """The values of the form that the URL does not have."""
    first = today - timedelta(days=DEFAULT_DAYS - 1)
    values = {"first": first.isoformat(), "last": today.isoformat(), "by": "day"}
    return {**values, "user": "", "team": "", "sort": ""}


def presets(today: date, values: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Links to usual periods, which keep the other values."""
    month = today.replace(day=1)
    before = month - timedelta(days=1)
    for words, first, last in (
        (_("Today"), today, today),
        (_("7 days"), today - timedelta(days=6), today),
        (_("30 days"), today - timedelta(days=29), today),
        (_("This month"), month, today),
        (_("Last month"), before.replace(day=1), before),
    ):
        chosen = {"first": first.isoformat(), "last": last.isoformat()}
        is_current = chosen.items() <= values.items()
        yield {"words": words, "query": urlencode({**values, **chosen}), "is_current": is_current}
