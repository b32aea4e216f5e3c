"""The call backs of all users: whom they want to call, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..calls import subjects
from ..conf import settings
from ..models import CallBack
from ..presentation.people import full_name
from ..shared.admin_names import NumbersInNames
from ..shared.admin_pages import admin_url
from ..shared.changelist import LongChangeList, LongList
from ..shared.masked_numbers import NoNumberLookups
from ..shared.moments import moment_cell
from ..shared.number_names import left_to_right
from ..views.after_call_forms import CallBackForm
from .filters import ChoiceFilter
from .form_filters import DayFilter, UserFilter
from .object_permissions import ObjectPermissions


class StateFilter(ChoiceFilter):
    """Whether they are due, later, or done. All that are not done, by default."""

    title = _("state")
    parameter_name = "state"
    conditions = {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("due", _("due")), ("later", _("later")), ("done", _("done"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        conditions = {
            None: Q(done_at=None),
            "due": Q(done_at=None, due_at__lte=now),
            "later": Q(done_at=None, due_at__gt=now),
            "done": Q(done_at__isnull=False),
        }
        chosen = conditions.get(self.value())
        return queryset.none() if chosen is None else queryset.filter(chosen)

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": _("waiting")}
        yield from others


class DueFilter(DayFilter):
    """The day on which they are due."""

    column = "due_at"
    latest = timedelta(days=366)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [("today", _("Today")), ("yesterday", _("Yesterday"))]


class CallBackChangeList(LongChangeList):
    """A page of call backs, with their subjects loaded together."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        subjects.load(self.result_list)


@admin.register(CallBack)
class CallBackAdmin(ObjectPermissions, NoNumberLookups, NumbersInNames, LongList):
    """Users set their call backs on other pages. Here they are moved, done or canceled."""

    form = CallBackForm
    list_display = ("due", "who", "callee", "about", "masked_note", "state", "after_call")
    list_filter = (StateFilter, UserFilter, DueFilter)
    list_select_related = ("user",)
    ordering = ("due_at", "pk")
    actions = ("mark_done", "cancel")
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css = {"all": ("poketalk/admin.css", "poketalk/admin_filters.css")}

    @admin.display(description=_("due"), ordering="due_at")
    def due(self, row: CallBack) -> str:
        return moment_cell(row.due_at)

    @admin.display(description=_("user"))
    def who(self, row: CallBack) -> str:
        return full_name(row.user)

    @admin.display(description=_("to"))
    def callee(self, row: Any) -> str:
        whole = bool(row.shows_numbers)
        return left_to_right(permissions.display_number(row.to_number, whole, row.to_extension))

    @admin.display(description=_("about"))
    def about(self, row: CallBack) -> str:
        return str(row.subject or "-")

    @admin.display(description=_("note"))
    def masked_note(self, row: Any) -> str:
        return permissions.display_text(row.note, bool(row.shows_numbers))

    @admin.display(description=_("state"))
    def state(self, row: CallBack) -> str:
        if row.done_at is not None:
            return gettext("done")
        return gettext("due") if row.is_due else gettext("later")

    @admin.display(description=_("after call"))
    def after_call(self, row: CallBack) -> str:
        url = row.after_id and admin_url(
            self.admin_site, "poketalk_callrequest_change", row.after_id
        )
        return format_html('<a href="{}">{}</a>', url, gettext("View call")) if url else "-"

    @admin.action(description=_("Mark selected call backs as done"), permissions=["change"])
    def mark_done(self, request: HttpRequest, queryset: QuerySet[CallBack]) -> None:
        now = timezone.now()
        finished = [row for row in queryset.filter(done_at=None) if row.finish(now)]
        for row in finished:
            self.log_change(request, row, "Marked as done.")
        count = len(finished)
        text = ngettext("%d call back is done.", "%d call backs are done.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)

    @admin.action(description=_("Cancel selected call backs"), permissions=["delete"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[CallBack]) -> None:
        waiting = queryset.filter(done_at=None)
        count = waiting.count()
        self.log_deletions(request, waiting)
        waiting.delete()
        text = ngettext("%d call back was canceled.", "%d call backs were canceled.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Move it, so that its user is reminded again."""
        stored = CallBack.objects.get(pk=obj.pk)  # the form has changed the other object
        note = {"note": obj.note} if "note" in form.changed_data else {}
        stored.move(obj.due_at, **note)

    def whole_numbers(self, request: HttpRequest) -> bool | Q:
        return permissions.may_see_numbers(request.user) or Q(user_id=request.user.pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallBack]:
        found = super().get_queryset(request)
        if not settings.visible_calls:  # Django's own permissions guard these pages
            return found
        visible = permissions.visible_calls(request.user)
        return found.filter(Q(user_id=request.user.pk) | Q(after__in=visible.values("pk")))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LongChangeList]:
        return CallBackChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.done_at is None)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        note = "note" if self._may_see(request, obj) else "masked_note"
        return ["who", "callee", "about", "due_at", note, "state", "after_call"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        hidden = [] if self._may_see(request, obj) else ["masked_note", "note"]
        return ["who", "callee", "about", "state", "after_call", *hidden]

    def _may_see(self, request: HttpRequest, obj: CallBack | None) -> bool:
        own = obj is not None and obj.user_id == request.user.pk
        return own or permissions.may_see_numbers(request.user)
