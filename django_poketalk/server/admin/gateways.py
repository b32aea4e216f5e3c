"""Gateways in the admin, and test calls through them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared.admin_pages import admin_url
from django_poketalk.shared.changelist import SafeLookups
from django_poketalk.shared.number_errors import explain

from .. import probe_rules
from ..models import Gateway, GatewayState, TestCall
from .causes import HangupCauseColumn
from .display import AppendOnly, ExplainedColumns, MaskedNumbersPage
from .gateway_states import GatewayStateColumns
from .number_columns import grouped_column, masked_column
from .related_links import LinksForUser

TRUNK = (
    ("username", "password_variable"),
    ("caller_id", "caller_number"),
    ("strip_digits", "add_prefix"),
    "calls_per_second",
    ("progress_timeout", "failover_codes"),
    "early_media",
)
DISPLAYED_TRUNK = (TRUNK[0], ("caller_id", "grouped_caller_number"), *TRUNK[2:])  # read-only
SIP = (("host", "port"), "from_domain", "late_offer", "keep_alive", "dtmf")
ASTERISK = ("ari_url", "endpoint", "application")

ROUTING = ("numbers", "prefixes", "priority", "ring_timeout", "max_channels")
STATE = ("states", "channels", "answer_rate", "time_to_ring")

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


# The settings that decide who receives the password
ADDRESS = ("kind", "host", "port", "ari_url")


class GatewayForm(forms.ModelForm):  # type: ignore[type-arg]
    """A gateway's fields. Only those of the chosen kind are displayed.

    The stored password variable is not. An empty input keeps it, unless the address has changed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Keep the stored values of fields that the submitted form did not contain, because the
        gateway was of another kind.
        """
        super().__init__(*args, **kwargs)
        self.stored_variable = self.instance.password_variable
        if self.stored_variable and "password_variable" in self.fields:
            self.initial["password_variable"] = ""
            self.fields["password_variable"].help_text = _(
                "A variable is stored, which is not displayed. Leave empty to keep it. If you "
                "change the kind or the address of the gateway, enter it again. To remove it, "
                "remove the user name too."
            )
        if self.is_bound:
            data: Any = self.data
            self.data = data = data.copy()
            for name, field in self.fields.items():
                if name not in data and not isinstance(field, forms.BooleanField):
                    data[name] = self.get_initial_for_field(field, name)

    def clean(self) -> dict[str, Any]:
        """Keep the stored password variable, unless the password would go to another address."""
        cleaned = super().clean() or self.cleaned_data
        if self.stored_variable and cleaned.get("password_variable") == "":
            if cleaned.get("username") and self._changes_address():
                self.add_error(
                    "password_variable",
                    _("The address has changed: enter the password variable again."),
                )
            elif cleaned.get("username"):
                cleaned["password_variable"] = self.stored_variable
        return cleaned

    def _changes_address(self) -> bool:
        return any(name in self.changed_data for name in ADDRESS)


@admin.register(Gateway)
class GatewayAdmin(LinksForUser, SafeLookups, GatewayStateColumns, ExplainedColumns):
    """Gateways, in the order in which they are tried."""

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}

    form = GatewayForm
    list_display = (
        "name",
        "operator",
        "serves",
        "priority",
        "is_active",
        "state",
        "channels",
        "last_hour",
    )
    list_filter = ("kind", "numbers", "is_active")
    list_select_related = ("provider",)
    search_fields = ("name", "provider__name", "host", "ari_url")
    autocomplete_fields = ("provider",)
    readonly_fields = ("test_call_links", *STATE)
    fieldsets = (
        (None, {"fields": ("provider", "name", "kind", "is_active", "test_call_links")}),
        (
            _("State"),
            {
                "fields": STATE,
                "description": _("The answer rate and the time to ring are of the last hour."),
            },
        ),
        (_("Routing"), {"fields": ROUTING}),
    )

    def columns_of_fields(self) -> dict[str, str]:
        return {"caller_number": "grouped_caller_number"}

    def get_fieldsets(self, request: HttpRequest, obj: Gateway | None = None) -> Any:
        """The fieldsets for the gateway's kind, or for the kind in the submitted form. For a new
        gateway, those of all kinds, without its state. Test calls only for users who may make them.
        """
        (title, options), state, *others = self.fieldsets
        may_test = request.user.has_perms(
            ["poketalk_server.add_testcall", "poketalk_server.view_testcall"]
        )
        if obj is None or not may_test:
            without = [name for name in options["fields"] if name != "test_call_links"]
            options = {**options, "fields": without}
        if obj is None:
            by_kind = (TRUNK_FIELDSET, *KIND_FIELDSETS.values())
            return [(title, options), *others, *by_kind]
        kind = request.POST.get("kind", obj.kind)
        of_kind = [TRUNK_FIELDSET, KIND_FIELDSETS[kind]] if kind in KIND_FIELDSETS else []
        if of_kind and not self.has_change_permission(request, obj):
            of_kind[0] = (TRUNK_FIELDSET[0], {**TRUNK_FIELDSET[1], "fields": DISPLAYED_TRUNK})
        fieldsets = [(title, options), state, *others, *of_kind]
        return self.for_user_only(request, fieldsets, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The rows to delete. Says what to do if live calls protect a gateway.

        Nobody may delete its states, which the switches write, but they need not keep it.
        """
        deleted, counts, missing, protected = super().get_deleted_objects(objs, request)
        if protected:
            text = _(
                "A gateway with live calls cannot be deleted. Deactivate it, and delete it when "
                "its calls have ended."
            )
            messages.error(request, text)
        return deleted, counts, set(missing) - {GatewayState._meta.verbose_name}, protected

    def save_model(self, request: HttpRequest, obj: Gateway, form: Any, change: bool) -> None:
        """Save it, with a warning if a call cannot have both of its legs on it."""
        super().save_model(request, obj, form, change)
        if obj.max_channels == 1:
            messages.warning(
                request,
                _(
                    "A call has two legs, so this gateway can carry only one of them: with one "
                    "channel and no other gateway, all calls fail."
                ),
            )

    grouped_caller_number = grouped_column("caller_number", _("caller number"), empty_value="-")

    @admin.display(description=_("service provider"), ordering="provider")
    def operator(self, gateway: Gateway) -> str:
        """Whose gateway it is, and its kind."""
        return f"{gateway.provider}, {gateway.get_kind_display()}"

    @admin.display(description=_("numbers"), ordering="numbers")
    def serves(self, gateway: Gateway) -> str:
        """Which numbers it reaches: their kind, and their prefixes if it has any."""
        return f"{gateway.get_numbers_display()} {gateway.prefixes}".strip()

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

    def clean(self) -> dict[str, Any]:
        """Apply the rules for test calls."""
        cleaned = super().clean() or self.cleaned_data
        gateway, number = cleaned.get("gateway"), cleaned.get("number")
        if gateway is not None and number:
            for sentence in probe_rules.refusals(gateway, number):
                self.add_error(None, sentence)
        return cleaned


@admin.register(TestCall)
class TestCallAdmin(HangupCauseColumn, AppendOnly, MaskedNumbersPage):
    """Test calls, which a switch makes free of charge."""

    form = TestCallForm
    masked_number = masked_column("number", _("number"))
    list_display = ("created_at", "gateway", "number", "outcome", "cause", "created_by")
    list_filter = (("gateway", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("gateway", "created_by")
    search_fields = ("gateway__name",)
    searched_numbers = ("number",)
    change_form_template = "admin/poketalk_server/test_call.html"

    class Media:
        js = tuple(
            Script(f"poketalk_server/{name}.js", type="module") for name in ("live", "test_call")
        )

    def get_fields(self, request: HttpRequest, obj: TestCall | None = None) -> Any:
        if obj is None:
            return ("gateway", "number")
        facts = ("outcome", "gateway", "number", "created_at", "created_by", "switch")
        stages = ("ringing_at", "answered_at", "ended_at")
        causes = ("cause", "sip_response", "network_cause")
        return self.for_user(request, [*facts, *stages, *causes])

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
