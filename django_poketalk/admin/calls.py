"""The log of calls: facts to read, and a way to end those that go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .. import dialing, permissions, subjects
from ..models import CallEvent, CallRequest
from ..templatetags.poketalk import clock

Column = Callable[[CallRequest], str]


class CallEventInline(admin.TabularInline):  # type: ignore[type-arg]
    """What the service told of the call, and what we answered."""

    model = CallEvent
    fields = readonly_fields = (
        "received_at",
        "remote_address",
        "status",
        "duration",
        "debit",
        "answer",
        "reason",
    )
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class CallChangeList(ChangeList):
    """The list of calls, which fetches the objects that they are about together."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        subjects.load(self.result_list)


@admin.register(CallRequest)
class CallRequestAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Calls are made by `dialing.request_call` and told by events: nobody edits one here."""

    list_filter = ("placement", "status", "created_at")
    list_select_related = ("user",)
    show_full_result_count = False
    sortable_by = ("created_at",)
    actions = ("hang_up",)
    inlines = (CallEventInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: CallRequest | None = None) -> bool:
        return False

    def has_hang_up_permission(self, request: HttpRequest) -> bool:
        return permissions.may_hang_up_any(request.user)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CallChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [
            "created_at",
            *number_columns(request),
            "user",
            "about",
            "state_in_words",
            "length",
            "debit",
        ]

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        # Whoever may not see the numbers may not find them out by searching either.
        if permissions.may_see_numbers(request.user):
            return ("=webcallid", "^from_number", "^to_number")
        return ("=webcallid",)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> CallRequest | None:
        call = super().get_object(request, object_id, from_field)
        if call is not None:
            subjects.load([call])
        return call

    def get_fieldsets(self, request: HttpRequest, obj: CallRequest | None = None) -> Any:
        return [
            (None, {"fields": [*number_columns(request), "user", "about", "state_in_words"]}),
            (
                _("The call"),
                {
                    "fields": [
                        "status",
                        "length",
                        "debit",
                        "a_initiated_at",
                        "a_answered_at",
                        "b_initiated_at",
                        "b_answered_at",
                        "ended_at",
                        "silent_at",
                    ]
                },
            ),
            (
                _("The request"),
                {
                    "fields": [
                        "placement",
                        "webcallid",
                        "created_at",
                        "not_before",
                        "expires_at",
                        "sent_at",
                        "attempts",
                        "placed_at",
                        "response_code",
                        "response_detail",
                    ]
                },
            ),
            (
                _("Why it was ended"),
                {
                    "fields": [
                        "max_duration",
                        "max_debit",
                        "hangup_requested_at",
                        "hangup_requested_by",
                        "veto_reason",
                    ]
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: CallRequest | None = None) -> Any:
        return [
            name
            for _title, options in self.get_fieldsets(request, obj)
            for name in options["fields"]
        ]

    def view_on_site(self, obj: CallRequest) -> str:
        """The call's page, which has the story and the button to hang up."""
        return reverse("poketalk:call", args=[obj.pk])

    @admin.display(description=_("about"))
    def about(self, call: CallRequest) -> str:
        return str(call.subject) if call.subject else ""

    @admin.display(description=_("state"))
    def state_in_words(self, call: CallRequest) -> str:
        return call.state

    @admin.display(description=_("duration"))
    def length(self, call: CallRequest) -> str:
        return clock(call.duration)

    @admin.action(description=_("Hang up selected calls"), permissions=["hang_up"])
    def hang_up(self, request: HttpRequest, queryset: QuerySet[CallRequest]) -> None:
        ended = [call for call in queryset if call.is_open and dialing.hang_up(call, request.user)]
        for call in ended:
            self.log_change(request, call, "Asked to hang up.")
        self.message_user(
            request,
            ngettext("%d call is being ended.", "%d calls are being ended.", len(ended))
            % len(ended),
            messages.SUCCESS if ended else messages.WARNING,
        )


def number_columns(request: HttpRequest) -> list[Column]:
    """The columns of both numbers, as this user may see them."""

    @admin.display(description=_("from"))
    def caller(call: CallRequest) -> str:
        return _shown(request, call, call.from_number)

    @admin.display(description=_("to"))
    def callee(call: CallRequest) -> str:
        return _shown(request, call, call.to_number)

    return [caller, callee]


def _shown(request: HttpRequest, call: CallRequest, number: str) -> str:
    shown = permissions.shown_number(number, permissions.may_see_numbers(request.user, call))
    # On one line, and from left to right in any language.
    return format_html('<bdi dir="ltr">{}</bdi>', shown.replace(" ", "\N{NO-BREAK SPACE}"))
