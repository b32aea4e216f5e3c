"""The blacklist: numbers and prefixes that may not call, or be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..blacklist.matching import find_matches
from ..calls.throttling import QuoteThrottle, too_many
from ..conf import settings
from ..forms import BlacklistedNumberForm
from ..models import BlacklistedNumber
from ..protocol import number_search
from ..shared.masked_numbers import masked_text
from ..shared.moments import moment_with_zone
from ..shared.number_names import left_to_right
from . import blacklist_matches
from .bulk_add import BulkAdd
from .numbers import NumberAdmin

PREVIEW = "_preview"  # the name of a button

EFFECTS = {
    BlacklistedNumber.Direction.FROM: _("may not call"),
    BlacklistedNumber.Direction.TO: _("may not be called"),
    BlacklistedNumber.Direction.BOTH: _("may neither call nor be called"),
}


class StateFilter(admin.SimpleListFilter):
    """Whether entries still hold."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("in_force", _("in force")), ("expired", _("expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        match self.value():
            case "in_force":
                return queryset.filter(Q(until=None) | Q(until__gt=now))
            case "expired":
                return queryset.filter(until__lte=now)
        return queryset


class KindFilter(admin.SimpleListFilter):
    """Single numbers, or all that begin so."""

    title = _("kind")
    parameter_name = "is_prefix"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("0", _("number")), ("1", _("prefix"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        kind = self.value()
        return queryset.filter(is_prefix=kind == "1") if kind in ("0", "1") else queryset


@admin.register(BlacklistedNumber)
class BlacklistedNumberAdmin(BulkAdd, NumberAdmin):
    """Entries are added one at a time or in bulk. Both show which calls they would have refused."""

    form = BlacklistedNumberForm
    # Not where Django finds them by itself: a project's own admin has pages of its own.
    change_form_template = "poketalk/admin/blacklist_entry.html"
    change_list_template = "poketalk/admin/blacklist.html"
    masks: ClassVar[Mapping[str, str]] = {"number": "masked_number", "reason": "masked_reason"}
    texts = ("reason",)
    fixed = ("is_prefix",)  # part of the number
    masked_reason = masked_text("reason", _("reason"))
    list_display = ("number", "effect", "reason", "state", "created_by")
    readonly_fields = ("effect", "state", "created_at", "created_by")
    fields = (*BlacklistedNumberForm.base_fields, *readonly_fields)
    list_filter = ("direction", KindFilter, StateFilter)
    list_select_related = ("created_by",)
    show_full_result_count = False

    class Media:
        css = {"all": ("poketalk/admin_place.css",)}

    # The list

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        # Short, beside two buttons
        return super().changelist_view(request, {"title": _("Blacklist"), **(extra_context or {})})

    @admin.display(description=_("number or prefix"))
    def masked_number(self, entry: BlacklistedNumber) -> str:
        return super().masked_number(entry)

    @admin.display(description=_("number or prefix"), ordering="number")
    def whole_number(self, entry: BlacklistedNumber) -> str:
        if entry.is_prefix:
            return left_to_right(f"{entry.number}…")
        return super().whole_number(entry)

    @admin.display(description=_("effect"), ordering="direction")
    def effect(self, entry: BlacklistedNumber) -> str:
        return str(EFFECTS[BlacklistedNumber.Direction(entry.direction)])

    @admin.display(description=_("state"), ordering="until")
    def state(self, entry: BlacklistedNumber) -> str:
        if entry.until is None:
            return str(_("in force"))
        until = entry.until
        if entry.is_in_force(timezone.now()):
            return _("in force until %(until)s") % {"until": moment_with_zone(until)}
        return format_html(
            '<span class="poketalk-expired">{}</span>',
            _("expired %(until)s") % {"until": moment_with_zone(until)},
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By number: entries that begin so, and prefixes that cover it. By words: reasons. Who may
        not see numbers has no search: reasons may contain them.
        """
        term = search_term.strip()
        if not term or not permissions.may_see_numbers(request.user):
            return queryset, False
        condition = Q(reason__icontains=term)
        for beginning in number_search.beginnings(term, settings.default_region):
            covering = [beginning[:length] for length in range(2, len(beginning) + 1)]
            condition |= Q(number__startswith=beginning) | Q(is_prefix=True, number__in=covering)
        return queryset.filter(condition), False

    # An entry's page

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)
        if form.ignored_extension:
            text = _("Extension %(extension)s was ignored: the entry blocks the whole number.")
            words = text % {"extension": form.ignored_extension}
            self.message_user(request, words, messages.WARNING)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if PREVIEW in request.POST:
            if refused := too_many(QuoteThrottle, request):
                return refused
            titles = {"title": _("Preview: not saved yet"), "subtitle": None}
            extra_context = {**titles, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, extra_context)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> BlacklistedNumber | None:
        entry: BlacklistedNumber | None = super().get_object(request, object_id, from_field)
        if entry is None and PREVIEW in request.POST:
            raise Http404
        return entry

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form_class: Any = super().get_form(request, obj, change, **kwargs)
        if PREVIEW not in request.POST:
            return form_class

        class PreviewForm(form_class):  # type: ignore[misc]
            """Is never valid, so that Django displays it again instead of saving it."""

            def is_valid(self) -> bool:
                return False

        return PreviewForm

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kw: Any) -> Any:
        """With the calls that the stored or previewed entry would have refused."""
        form = context["adminform"].form
        if (form.is_bound or form.instance.pk) and not context["errors"]:
            calls = permissions.findable_calls(request.user)
            entry = form.instance
            found = find_matches([entry], entry.direction, calls, timezone.now())
            context["matches"] = blacklist_matches.context(found, request.user, self)
        return super().render_change_form(request, context, *args, **kw)
