"""The filters of the list of calls with inputs: days, user, cost and talk time. They name no users
and no days, since finding those would read all calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..presentation import call_status
from ..shared.periods import DAY, midnight
from . import periods
from .periods import Period

Words = str | Promise

SPANS = {"7": timedelta(days=6), "30": timedelta(days=29)}  # the days before today
MOST = Decimal(10**9)  # what a cost or a duration may be compared with


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a filter's form. `step` is for numbers only."""

    name: str
    label: Words
    value: str
    kind: str = "text"
    step: str = ""


class FormFilter(admin.SimpleListFilter):
    """A filter with links for common values, and a GET form for all others."""

    template = "poketalk/admin/form_filter.html"
    further: ClassVar[tuple[str, ...]] = ()  # parameters of the form besides `parameter_name`

    def __init__(self, request: HttpRequest, params: dict[str, Any], *args: Any) -> None:
        given = {name: params.pop(name)[-1].strip() for name in self.further if name in params}
        self.given = {name: value for name, value in given.items() if value}
        super().__init__(request, params, *args)
        self.request = request

    @property
    def inputs(self) -> list[Input]:
        """The inputs of the form."""
        raise NotImplementedError

    @property
    def chosen(self) -> str:
        """The selected value for display, "" if there is none."""
        value = self.value()
        return str(dict(self.lookup_choices).get(value or "", value or ""))

    @property
    def is_required(self) -> bool:
        """Whether the form has one input, so that it needs a value."""
        return len(self.inputs) == 1

    @property
    def others(self) -> Iterator[tuple[str, str]]:
        """The other parameters of the URL, which the form keeps, except for the page number."""
        own = {self.parameter_name, *self.further}
        for name, values in self.request.GET.lists():
            if name not in own and name not in ("p", "e"):
                yield from ((name, value) for value in values)

    def expected_parameters(self) -> list[str | None]:
        return [self.parameter_name, *self.further]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """The links replace the values of the form, too."""
        names = [name for name in self.expected_parameters() if name]
        value = self.value()
        for key, title in [(None, _("All")), *self.lookup_choices]:
            changes = {} if key is None else {str(self.parameter_name): key}
            yield {
                "selected": value == key and not self.given,
                "query_string": changelist.get_query_string(changes, names),
                "display": title,
            }


class DayFilter(FormFilter):
    """A day in the current time zone, the past days, or another of the `periods`: a month, a year,
    or a range of days, as in the links of a report. The list is then ordered by time.
    """

    title = _("day")
    parameter_name = "day"
    further = ("day_from", "day_to")
    column = "created_at"
    latest = timedelta(0)  # from today until the last day of a range without one

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._today = timezone.localdate()
        self.is_invalid = False
        self.period = periods.read(self.value() or "", self._today)
        if self.given:
            self.period = self._range()
            self.is_invalid = self.period is None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [
            ("today", _("Today")),
            ("yesterday", _("Yesterday")),
            ("7", _("Past 7 days")),
            ("30", _("Past 30 days")),
        ]

    @property
    def inputs(self) -> list[Input]:
        first = last = ""
        if self.period and not self.given:
            first, last = self.period.first.isoformat(), self.period.last.isoformat()
        first, last = self.given.get("day_from", first), self.given.get("day_to", last)
        return [
            Input("day_from", _("From"), first, "date"),
            Input("day_to", _("To"), last, "date"),
        ]

    @property
    def chosen(self) -> str:
        if self.given and self.period:
            return self.period.title
        if self.period and self.value() not in dict(self.lookup_choices):
            return self.period.title
        return " – ".join(self.given.values()) or super().chosen

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield from super().choices(changelist)
        if self.period is None:
            return
        if not self.period.is_day:
            yield {
                "selected": True,
                "query_string": changelist.get_query_string(),
                "display": self.period.title,
            }
            return
        # Links to the days before and after, since a calendar would have to read all calls.
        day = self.period.first
        for beside, arrow in ((Period.day(day - DAY), "←"), (Period.day(day + DAY), "→")):
            if beside.first <= self._today:
                yield {
                    "selected": False,
                    "query_string": changelist.get_query_string({"day": beside.address}, ["day"]),
                    "display": f"{arrow} {beside.title}",
                }

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value in SPANS and not self.given:
            begins = midnight(self._today - SPANS[value])
            return queryset.filter(**{f"{self.column}__gte": begins})
        if self.period is None:
            return queryset.none() if value is not None or self.is_invalid else queryset
        begins, ends = self.period.begins, self.period.ends
        return queryset.filter(**{f"{self.column}__gte": begins, f"{self.column}__lt": ends})

    def _range(self) -> Period | None:
        """The days of the form: from the first one on, or up to the last one, if one is missing."""
        first = periods.read(self.given.get("day_from", "2000-01-01"), self._today)
        latest = (self._today + self.latest).isoformat()
        last = periods.read(self.given.get("day_to", latest), self._today)
        if first is None or last is None or first.first > last.last:
            return None
        return Period(first.first, last.last)


class UserFilter(FormFilter):
    """The user who placed the call: a link for oneself, and an input for others. Lists no users."""

    title = _("user")
    parameter_name = "user"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [(request.user.get_username(), _("Me"))]

    @property
    def inputs(self) -> list[Input]:
        return [Input("user", _("By user name"), self.value() or "")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        name = self.value()
        if name is None:
            return queryset
        if name == request.user.get_username():
            return queryset.filter(user_id=request.user.pk)
        users = get_user_model()._default_manager
        # A separate query for the user: with a join, the database cannot estimate the rows.
        found = users.filter(**{get_user_model().USERNAME_FIELD: name}).values_list("pk", flat=True)
        pk = found.first()
        return queryset.none() if pk is None else queryset.filter(user_id=pk)


class RangeFilter(FormFilter):
    """A figure of calls that have ended, from and to a value: `60..`, `..30` or `60..300` in links,
    two inputs in the form.
    """

    column: ClassVar[str]
    step: ClassVar[str]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        least, _dots, most = (self.value() or "").partition("..")
        if self.given:
            least, most = (self.given.get(name, "") for name in self.further)
        self.texts = (least, most)

    @property
    def inputs(self) -> list[Input]:
        labels = (self.least_label, self.most_label)
        return [
            Input(name, label, text, "number", self.step)
            for name, label, text in zip(self.further, labels, self.texts, strict=True)
        ]

    least_label: Words = _("At least")
    most_label: Words = _("At most")

    @property
    def chosen(self) -> str:
        known = dict(self.lookup_choices).get(self.value() or "")
        if known and not self.given:
            return str(known)
        if not any(self.texts):
            return self.value() or ""
        try:
            least, most = (self.read(text) for text in self.texts)
        except ValueError:
            return " – ".join(self.texts)
        if least is None:
            return gettext("up to %s") % self.display(most)
        if most is None:
            return gettext("%s or more") % self.display(least)
        return f"{self.display(least)} – {self.display(most)}"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() is None and not self.given:
            return queryset
        try:
            least, most = (self.read(text) for text in self.texts)
        except ValueError:
            return queryset.none()
        if least is None and most is None:
            return queryset.none()
        if least is not None:
            queryset = queryset.filter(**{f"{self.column}__gte": least})
        return queryset if most is None else queryset.filter(**{f"{self.column}__lte": most})

    def read(self, text: str) -> Any:
        """The value, None for "". Raises `ValueError`."""
        if not text:
            return None
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ValueError(text) from None
        if not number.is_finite() or not 0 <= number <= MOST:
            raise ValueError(text)
        return number

    def display(self, value: Any) -> str:
        """The value for people."""
        raise NotImplementedError


class CostFilter(RangeFilter):
    """The cost of calls that have ended."""

    title = _("cost")
    parameter_name = "cost"
    further = ("cost_from", "cost_to")
    column = "final_cost"
    step = "any"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [("0.001..", _("With cost")), ("..0", _("Without cost"))]

    def display(self, value: Any) -> str:
        return number_format(value, 2 if value == value.quantize(Decimal("0.01")) else None)


class DurationFilter(RangeFilter):
    """The talk time of calls that have ended, in seconds."""

    title = _("talk time")
    parameter_name = "length"
    further = ("length_from", "length_to")
    column = "final_talk_time"
    step = "1"
    least_label = _("At least (seconds)")
    most_label = _("At most (seconds)")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [
            ("1..30", _("Up to 30 seconds")),
            ("60..", _("1 minute or more")),
            ("300..", _("5 minutes or more")),
            ("1800..", _("30 minutes or more")),
        ]

    def read(self, text: str) -> Any:
        number = super().read(text)
        return None if number is None else int(number)

    def display(self, value: Any) -> str:
        return call_status.length(value)
