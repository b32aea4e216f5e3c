"""Gateways in the admin, and test calls through them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared.admin_pages import admin_url
from django_poketalk.shared.changelist import SafeLookups
from django_poketalk.shared.number_errors import explain

from ..models import Gateway, TestCall
from .causes import HangupCauseColumn
from .display import AppendOnly, MaskedNumbersPage, masked_column, time_column

TRUNK = (
    ("username", "password_variable"),
    ("caller_id", "caller_number"),
    ("strip_digits", "add_prefix"),
    ("max_channels", "calls_per_second"),
)
SIP = (("host", "port"), "from_domain", ("early_media", "late_offer"), "keep_alive", "dtmf")
ASTERISK = ("ari_url", "endpoint", "application")

# The fieldset of each kind, in addition to those of all gateways.
KIND_FIELDSETS: dict[str, Any] = {
    Gateway.Kind.SIP: (
        _("SIP trunk"),
        {"fields": SIP, "description": _("For gateways of the kind “SIP trunk”.")},
    ),
    Gateway.Kind.ASTERISK: (
        _("Asterisk"),
        {"fields": ASTERISK, "description": _("For gateways of the kind “Asterisk”.")},
    ),
}
TRUNK_FIELDSET = (
    _("Real phones"),
    {"fields": TRUNK, "description": _("For gateways of every kind but simulated phones.")},
)


class GatewayForm(forms.ModelForm):  # type: ignore[type-arg]
    """A gateway's fields. Only those of the chosen kind are displayed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Keep the stored values of fields that the submitted form did not contain, because the
        gateway was of another kind.
        """
        super().__init__(*args, **kwargs)
        if self.is_bound:
            data: Any = self.data
            self.data = data = data.copy()
            for name, field in self.fields.items():
                if name not in data and not isinstance(field, forms.BooleanField):
                    data[name] = self.get_initial_for_field(field, name)


@admin.register(Gateway)
class GatewayAdmin(SafeLookups, admin.ModelAdmin):  # type: ignore[type-arg]
    """Gateways, in the order in which they are tried."""

    form = GatewayForm
    list_display = ("name", "provider", "kind", "numbers", "prefixes", "priority", "is_active")
    list_filter = ("kind", "numbers", "is_active")
    list_select_related = ("provider",)
    search_fields = ("name", "provider__name", "host", "ari_url")
    autocomplete_fields = ("provider",)
    readonly_fields = ("test_call_links",)
    fieldsets = (
        (None, {"fields": ("provider", "name", "kind", "is_active", "test_call_links")}),
        (_("Routing"), {"fields": ("numbers", "prefixes", "priority", "ring_timeout")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Gateway | None = None) -> Any:
        """The fieldsets for the gateway's kind, or for the kind in the submitted form. For a new
        gateway, those of all kinds, without test calls.
        """
        if obj is None:
            (title, options), *others = self.fieldsets
            without = [name for name in options["fields"] if name != "test_call_links"]
            by_kind = (TRUNK_FIELDSET, *KIND_FIELDSETS.values())
            return [(title, {"fields": without}), *others, *by_kind]
        kind = request.POST.get("kind", obj.kind)
        if kind not in KIND_FIELDSETS:
            return self.fieldsets
        return [*self.fieldsets, TRUNK_FIELDSET, KIND_FIELDSETS[kind]]

    @admin.display(description=_("test calls"))
    def test_call_links(self, gateway: Gateway) -> str:
        """Links to the form for a test call, and to earlier ones."""
        add = admin_url(self.admin_site, "poketalk_server_testcall_add")
        if not add:
            return "-"
        return format_html(
            '<a href="{}?{}">{}</a> · <a href="{}?{}">{}</a>',
            add,
            urlencode({"gateway": gateway.pk}),
            _("make a test call"),
            admin_url(self.admin_site, "poketalk_server_testcall_changelist"),
            urlencode({"gateway__id__exact": gateway.pk}),
            _("earlier test calls"),
        )


class TestCallForm(forms.ModelForm):  # type: ignore[type-arg]
    """The number to ring, and the gateway to use."""

    number = forms.CharField(
        label=_("Number"),
        max_length=numbers.MAX_TEXT_LENGTH,
        help_text=_("International format, such as +44 20 7946 0123. The phone really rings."),
    )

    class Meta:
        model = TestCall
        fields = ("gateway", "number")

    def clean_number(self) -> str:
        """The number as digits. An internal number is kept if the gateway reaches those."""
        text: str = self.cleaned_data["number"]
        gateway: Gateway | None = self.cleaned_data.get("gateway")
        reaches_internal = gateway is not None and gateway.numbers != Gateway.Numbers.EXTERNAL
        if reaches_internal and numbers.is_internal(text) and not numbers.is_emergency(text):
            return text
        try:
            return numbers.wire(numbers.normalize(text))
        except numbers.InvalidNumber as error:
            raise ValidationError(explain(error)) from error


@admin.register(TestCall)
class TestCallAdmin(HangupCauseColumn, AppendOnly, MaskedNumbersPage):
    """Test calls, which a switch makes free of charge."""

    form = TestCallForm
    created = time_column("created_at", _("created"))
    masked_number = masked_column("number", _("number"))
    list_display = ("created", "gateway", "number", "outcome", "cause", "created_by")
    list_filter = (("gateway", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("gateway", "created_by")

    def get_fields(self, request: HttpRequest, obj: TestCall | None = None) -> Any:
        if obj is None:
            return ("gateway", "number")
        facts = ("outcome", "gateway", "number", "created_at", "created_by", "switch")
        stages = ("ringing_at", "answered_at", "ended_at", "cause", "sip_status", "q850")
        return self._for(request, [*facts, *stages])

    def get_readonly_fields(self, request: HttpRequest, obj: TestCall | None = None) -> Any:
        return () if obj is None else self.get_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: TestCall, form: Any, change: bool) -> None:
        obj.created_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: TestCall, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Redirect to the test call's page, which displays its progress."""
        return redirect(admin_url(self.admin_site, "poketalk_server_testcall_change", obj.pk))

    @admin.display(description=_("outcome"))
    def outcome(self, test_call: TestCall) -> str:
        """Whether the phone was answered; before the end, the state."""
        kinds = {None: "live", True: "good", False: "bad"}
        words = {
            None: test_call.get_state_display(),
            True: _("connected"),
            False: _("not connected"),
        }
        return format_html(
            '<span class="poketalk-state" data-state="{}">{}</span>',
            kinds[test_call.got_through],
            words[test_call.got_through],
        )
