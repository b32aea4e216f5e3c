"""The page *My calls*: the user's own calls, due call backs and scheduled calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .. import permissions
from ..calls import call_backs, subjects
from ..models import CallBack, CallRequest
from ..models.states import OPEN_BY_INDEX
from ..presentation import call_status, wrap_up
from ..protocol.codes import CallStatus
from ..shared.periods import YEARS, midnight
from ..shared.text import whole_number
from .calls import way_back
from .pages import render

PER_PAGE = 25
LAST_PAGE = 400  # no page reads further back
LISTS = {"calls": _("Calls"), "due": _("Call backs"), "scheduled": _("Scheduled")}
OUTCOMES: dict[str, tuple[Any, Q]] = {
    "talked": (
        _("Connected"),
        Q(status__in=[CallStatus.B_ANSWERED, CallStatus.AB_DISCONNECTED]),
    ),
    "callee": (_("Callee not reached"), Q(status=CallStatus.B_FAILED)),
    "caller": (_("Caller not reached"), Q(status=CallStatus.A_FAILED)),
    "open": (_("In progress"), OPEN_BY_INDEX),
}


class Filters(forms.Form):
    """The filters of the list of calls. An invalid value filters nothing."""

    outcome = forms.ChoiceField(label=_("Outcome"), required=False)
    result = forms.ChoiceField(label=_("Result"), required=False)
    first = forms.DateField(label=_("From"), required=False)
    last = forms.DateField(label=_("To"), required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"auto_id": "poketalk-%s", **options})
        each: list[Any] = [("", _("All"))]
        outcomes = [(key, words) for key, (words, _condition) in OUTCOMES.items()]
        self.fields["outcome"].choices = each + outcomes  # type: ignore[attr-defined]
        if wrap_up.choices():
            results = [*wrap_up.choices(), ("none", _("No result"))]
            self.fields["result"].choices = each + results  # type: ignore[attr-defined]
        else:
            del self.fields["result"]
        for name in ("first", "last"):
            self.fields[name].widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def condition(self) -> Q:
        """What the calls must match."""
        self.is_valid()
        chosen = self.cleaned_data
        found = OUTCOMES[chosen["outcome"]][1] if chosen.get("outcome") else Q()
        match chosen.get("result"):
            case None | "":
                pass
            case "none":
                found &= Q(wrap_up=None) | Q(wrap_up__disposition="")
            case key:
                found &= Q(wrap_up__disposition=key)
        first, last = chosen.get("first"), chosen.get("last")
        if first and first.year in YEARS:
            found &= Q(created_at__gte=midnight(first))
        if last and last.year in YEARS:
            found &= Q(created_at__lt=midnight(last + timedelta(days=1)))
        return found


@login_required
@never_cache
@require_safe
def my_calls(request: HttpRequest) -> HttpResponse:
    """One of three lists: `calls`, newest first, with filters; `due` call backs; or `scheduled`
    calls. Each page has `PER_PAGE` rows.
    """
    user: Any = request.user
    if not permissions.may_see_calls(user):
        raise PermissionDenied
    show = request.GET.get("show", "calls")
    show = show if show in LISTS else "calls"
    filters = Filters(request.GET) if show == "calls" else None
    rows, page, has_more = _page(request, _rows(show, user, filters))
    subjects.load(rows)
    return render(
        request,
        "poketalk/my_calls.html",
        {
            "show": show,
            "lists": [(key, words, key == show) for key, words in LISTS.items()],
            "due": CallBack.objects.due(timezone.now()).filter(user=user)[:100].count(),
            "rows": [_row(each) for each in rows],
            "filters": filters,
            "results": bool(wrap_up.choices()),
            "newer": _link(request.GET, page - 1) if page > 1 else "",
            "older": _link(request.GET, page + 1) if has_more and page < LAST_PAGE else "",
            "back": way_back(request),
            "here": request.get_full_path(),
            "styles": ("poketalk/wrap_up.css",),
        },
    )


def _rows(show: str, user: Any, filters: Filters | None) -> QuerySet[Any]:
    if show == "due":
        return CallBack.objects.waiting().filter(user=user).order_by("due_at", "pk")
    if show == "scheduled":
        return call_backs.scheduled(user)  # type: ignore[no-any-return]
    condition = filters.condition() if filters is not None else Q()
    calls = permissions.own_calls(user).filter(condition)
    return calls.select_related("wrap_up", "call_back").order_by("-id")


def _page(request: HttpRequest, rows: QuerySet[Any]) -> tuple[list[Any], int, bool]:
    given = whole_number(request.GET.get("page", ""), most_digits=3)
    page = min(max(given or 1, 1), LAST_PAGE)
    found = list(rows[(page - 1) * PER_PAGE : page * PER_PAGE + 1])
    return found[:PER_PAGE], page, len(found) > PER_PAGE


def _row(row: Any) -> dict[str, Any]:
    return {
        "row": row,
        "state": call_status.heading(row) if isinstance(row, CallRequest) else "",
        "name": call_status.callee(row) if row.to_number or row.subject else "",
    }


def _link(query: QueryDict, page: int) -> str:
    changed = query.copy()
    changed["page"] = str(page)
    return f"?{changed.urlencode()}"
