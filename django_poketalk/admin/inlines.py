"""The calls about an object as an inline: `inlines = [CallInline]` in the project's own admin."""

from __future__ import annotations

from typing import Any

from django.contrib.contenttypes.admin import GenericTabularInline
from django.db.models import QuerySet
from django.http import HttpRequest

from .. import permissions
from ..models import CallRequest
from . import columns


class CallInline(GenericTabularInline):
    """All calls about the object that the user may see, newest first. Nothing can be changed.

    `CallsAdminMixin` displays the newest calls instead, with buttons to place others.
    """

    model = CallRequest
    ct_field = "subject_type"
    ct_fk_field = "subject_id"
    extra = 0
    can_delete = False
    show_change_link = True

    class Media:
        css = {"all": ("poketalk/admin.css", "poketalk/admin_calls.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallRequest]:
        return (
            permissions.visible_calls(request.user)
            .select_related("user", "wrap_up")
            .order_by("-id")
        )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*self.get_readonly_fields(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        # Made once: Django makes an inline for each request, and compares the columns.
        if not hasattr(self, "_columns"):
            numbers = columns.number_columns(request)
            facts = (columns.outcome, *columns.results(), columns.length, columns.cost)
            self._columns = [columns.when, *numbers, "user", *facts]
        return self._columns

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return permissions.may_see_calls(request.user)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
