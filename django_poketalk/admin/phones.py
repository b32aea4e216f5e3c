"""The users' own phones: leg A of the calls that the users place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .. import permissions
from ..conf import settings
from ..forms import PhoneForm
from ..models import Phone
from ..models.phones import are_stored_here
from ..protocol import number_search
from ..shared.changelist import ChoiceFilter, Conditions
from ..shared.masked_numbers import masked_text
from .numbers import NumberAdmin


class VerifiedFilter(ChoiceFilter):
    """Whether somebody confirmed that the phones belong to their users."""

    title = _("verified")
    parameter_name = "verified"
    conditions: ClassVar[Conditions] = {
        "yes": (_("Yes"), Q(verified_at__isnull=False)),
        "no": (_("No"), Q(verified_at=None)),
    }


class DefaultFilter(ChoiceFilter):
    """Whether the phones ring first."""

    title = _("default")
    parameter_name = "default"
    conditions: ClassVar[Conditions] = {
        "yes": (_("Yes"), Q(is_default=True)),
        "no": (_("No"), Q(is_default=None)),
    }


@admin.register(Phone)
class PhoneAdmin(NumberAdmin):
    """Users, each with one or more phones. Without the permission `verify_phone`, only the time of
    the verification is shown. If the project keeps the phones (`USER_PHONES`), nothing here can be
    changed.
    """

    form = PhoneForm
    masks: ClassVar[Mapping[str, str]] = {"number": "masked_number", "label": "masked_label"}
    texts = ("label",)
    fixed = ("user",)  # who would see the number
    masked_label = masked_text("label", _("label"))
    list_display = ("user", "number", "label", "rings_first", "verified_at")
    readonly_fields = ("verified_at",)
    fields = (*PhoneForm.base_fields, *readonly_fields)
    list_filter = (VerifiedFilter, DefaultFilter)
    raw_id_fields = ("user",)
    list_select_related = ("user",)
    show_full_result_count = False
    actions = ("verify",)
    ordering = ("user", "-is_default", "pk")

    @admin.display(description=_("default"), boolean=True)
    def rings_first(self, phone: Phone) -> bool:
        return bool(phone.is_default)

    @admin.action(description=_("Verify the selected phones"), permissions=["verify"])
    def verify(self, request: HttpRequest, queryset: QuerySet[Phone]) -> None:
        now = timezone.now()
        verified = 0
        for phone in queryset.filter(verified_at=None):
            if phone.verify(now):
                self.log_change(request, phone, [{"changed": {"fields": [str(_("Verified"))]}}])
                verified += 1
        text = ngettext("%d phone was verified.", "%d phones were verified.", verified) % verified
        self.message_user(request, text, messages.SUCCESS if verified else messages.WARNING)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By label, by user, or by the beginning of the number in any spelling. Who may not see
        numbers has no search, as on the other pages of numbers.
        """
        term = search_term.strip()
        if not term or not permissions.may_see_numbers(request.user):
            return queryset, False
        user: Any = Phone._meta.get_field("user").related_model
        condition = Q(label__icontains=term)
        condition |= Q(**{f"user__{user.USERNAME_FIELD}__icontains": term})
        for beginning in number_search.beginnings(term, settings.default_region):
            condition |= Q(number__startswith=beginning)
        return queryset.filter(condition), False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = super().get_fields(request, obj)
        if permissions.may_verify_phones(request.user, obj):
            return fields
        return [field for field in fields if field != "verified"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = super().get_readonly_fields(request, obj)
        # Read-only fields are not in the form. A field that is only hidden could still be sent.
        return fields if permissions.may_verify_phones(request.user, obj) else [*fields, "verified"]

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return are_stored_here() and permissions.may_verify_phones(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return are_stored_here() and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return are_stored_here() and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return are_stored_here() and super().has_delete_permission(request, obj)
