"""Placing a call from the admin: a form, a quote, then the call."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..button import signed_call
from ..calls import caller_phones, requesting, services
from ..calls.caps import OF_NUMBERS, Cap
from ..calls.currencies import common_currency
from ..calls.quiet_hours import CalleeTime
from ..calls.quote import Party, Quote
from ..calls.service_extensions import undialed
from ..calls.throttling import PlaceThrottle, QuoteThrottle, too_many
from ..exceptions import CallRefused, IdempotencyConflict
from ..forms import CallerPhoneField, PhoneNumberField
from ..models import BlacklistedNumber, CallRequest, Phone
from ..models.phones import users_keep_their_own
from ..presentation import call_status
from ..shared import countries
from ..shared.admin_pages import admin_url, render_page
from ..shared.moments import moment_with_zone

CAPS = {
    "live_calls_per_user": _("Your open calls"),
    "calls_per_hour_per_user": _("Your calls in the last hour"),
    "spend_per_day_per_user": _("Cost of your calls today"),
    "calls_per_hour_per_callee": _("Calls to this number in the last hour"),
    "calls_per_hour_per_caller_phone": _("Calls to your phone in the last hour"),
    "live_calls": _("Open calls (all users)"),
    "calls_per_hour": _("Calls in the last hour (all users)"),
    "spend_per_day": _("Cost of all calls today"),
    "service_live_calls": _("Open calls by this service"),
    "service_calls_per_hour": _("Calls by this service in the last hour"),
    "service_spend_per_day": _("Cost of calls by this service today"),
}


class PlaceForm(forms.Form):
    """The phones and the limits of a call. The hidden `order` is a button's token, so that
    submitting the form more than once places one call.
    """

    from_number = CallerPhoneField(
        label=_("Your phone"), error_messages={"required": caller_phones.NO_OWN_NUMBER}
    )
    to_number = PhoneNumberField(label=_("Number to call"), extension="kept")
    minutes = forms.IntegerField(
        label=_("Maximum duration (minutes)"), required=False, min_value=1, max_value=24 * 60
    )
    max_cost = forms.DecimalField(
        label=_("Maximum cost"),
        required=False,
        min_value=Decimal("0.000001"),
        max_digits=15,
        decimal_places=6,
    )
    order = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, user: Any, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        self.refusals: list[CallRefused] = []
        own = self.phones = Phone.objects.for_user(user)
        self.knows_own_number = bool(own)
        self.initial["from_number"] = own[0].display if own else ""
        choice = caller_phones.choice(own)
        if choice and not permissions.may_choose_caller(user):
            self.initial["from_number"] = own[0].number
            self.fields["from_number"] = forms.ChoiceField(
                label=_("Your phone"), choices=[(each.number, _option(each)) for each in choice]
            )
        caller = self.fields["from_number"]
        # The submitted value is ignored if there is nothing to choose.
        caller.disabled = not choice and not permissions.may_choose_caller(user)
        caller.help_text = _("This phone rings first.")
        rules = services.settings_for(user)
        to_number: Any = self.fields["to_number"]
        to_number.region = lambda: rules.default_region
        to_number.help_text = _callee_help_text(rules.default_region)
        self.fields["minutes"].help_text = _(
            "Minutes, up to %(most)s. Leave empty for %(most)s."
        ) % {"most": rules.max_duration // 60}
        self.fields["max_cost"].help_text = _("Leave empty for no limit.")
        if rules.max_cost is not None:
            most = f"{call_status.cost(rules.max_cost)} {common_currency()}".strip()
            self.fields["max_cost"].help_text = _("Up to %(most)s. Leave empty for %(most)s.") % {
                "most": most
            }

    def clean_from_number(self) -> str:
        """The number. Users who may only choose among their own phones need one that may ring."""
        number: str = self.cleaned_data["from_number"]
        if not permissions.may_choose_caller(self.user):
            try:
                return caller_phones.chosen_number(self.phones, number)
            except CallRefused as refusal:
                raise forms.ValidationError(str(refusal), refusal.code) from refusal
        return number

    def sent_order(self) -> signed_call.Button:
        """The submitted token. Raises `CallRefused` if it is another user's, or has expired."""
        return signed_call.read(self.cleaned_data["order"], self.user)

    def token(self) -> str:
        """The token for the rendered form: the submitted one if it is valid, or else a new one."""
        sent = self.data.get("order", "") if self.is_bound else ""
        try:
            signed_call.read(sent, self.user)
        except CallRefused:
            return signed_call.sign(signed_call.Button(nonce=signed_call.new_nonce()), self.user)
        return str(sent)

    def requested_order(self) -> requesting.Order:
        """The arguments of `requesting.request_call` and `quote`."""
        minutes = self.cleaned_data["minutes"]
        return {
            "from_number": self.cleaned_data["from_number"],
            "to_number": self.cleaned_data["to_number"],
            "user": self.user,
            "max_duration": None if minutes is None else 60 * minutes,
            "max_cost": self.cleaned_data["max_cost"],
            "requires_permission": True,
        }

    def quote(self) -> Quote | None:
        """The quote, or None if the order is invalid. Adds each refusal to the form's errors."""
        try:
            quote = requesting.quote(**self.requested_order())
        except CallRefused as refusal:
            self.refuse(refusal)
            return None
        for reason in quote.refusals:
            self.refuse(reason)
        return quote

    def refuse(self, refusal: CallRefused) -> None:
        """Add a refusal as an error of its field, or of the form."""
        field = {"max_duration": "minutes"}.get(refusal.field, refusal.field)
        self.add_error(field if field in self.fields else None, str(refusal))
        self.refusals.append(refusal)


def place_view(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """The form. *Check* adds a quote. *Call* places the call and redirects to its page. `?to=`
    prefills the number. Both are throttled as in the API.
    """
    if not permissions.may_place(request.user):
        raise PermissionDenied
    sent = request.POST if request.method == "POST" else None
    if sent is not None:
        throttle = PlaceThrottle if "_call" in sent else QuoteThrottle
        if refused := too_many(throttle, request):
            return refused
    form = PlaceForm(request.user, sent, initial={"to_number": request.GET.get("to", "")})
    quote = None
    if sent is not None and form.is_valid():
        if "_call" in sent:
            call = _place(model_admin, request, form)
            if call is not None:
                return redirect(_page_of(model_admin, request, call))
        else:
            quote = form.quote()
    return _render(model_admin, request, form, quote)


def _place(
    model_admin: ModelAdmin[Any], request: HttpRequest, form: PlaceForm
) -> CallRequest | None:
    """The call. None if it is refused; the form then has the errors."""
    try:
        key = form.sent_order().idempotency_key
        call = requesting.request_call(**form.requested_order(), idempotency_key=key)
    except CallRefused as refusal:
        form.refuse(refusal)
        return None
    except IdempotencyConflict:
        form.add_error(
            None,
            _("This form has already placed a call. Open the page again to place another one."),
        )
        return None
    if not call.repeated:
        model_admin.log_addition(request, call, [{"added": {}}])
    if not call.repeated or call.is_open:  # a browser ignores the first answer to a double click
        text = _("The call is being placed. Your phone will ring in a moment.")
        model_admin.message_user(request, text, messages.SUCCESS)
    return call


def _page_of(model_admin: ModelAdmin[Any], request: HttpRequest, call: CallRequest) -> str:
    """The URL of the page where this user can watch the call."""
    if not model_admin.has_view_permission(request, call):
        return reverse("poketalk:call", args=[call.pk])
    return admin_url(model_admin.admin_site, "poketalk_callrequest_change", call.pk)


def _way_out(
    model_admin: ModelAdmin[Any], request: HttpRequest, refusals: list[CallRefused]
) -> dict[str, str] | None:
    """A link to the call that causes the refusal."""
    user: Any = request.user
    for refusal in refusals:
        if refusal.code == "live_calls_per_user":
            open_call = CallRequest.objects.live().filter(user=user.pk).first()
            if open_call is not None:
                url = _page_of(model_admin, request, open_call)
                return {"url": url, "label": gettext("View that call")}
        elif refusal.code == "wrap_up_missing":
            return call_status.way_out(refusal, user, request.path)
    return None


def _render(
    model_admin: ModelAdmin[Any], request: HttpRequest, form: PlaceForm, quote: Quote | None
) -> HttpResponse:
    fields = ["from_number", "to_number", "minutes", "max_cost"]
    any_form: Any = form  # AdminForm accepts any form, but its stubs only model forms
    context = {
        "title": _("Place a call"),
        "form": form,
        "adminform": AdminForm(any_form, [(None, {"fields": fields})], {}),
        "order": form.token(),
        "way_out": _way_out(model_admin, request, form.refusals),
        "phones_page": users_keep_their_own(),
        "quote": None
        if quote is None
        else quote_context(quote, request.user, model_admin.admin_site),
        "has_view_permission": model_admin.has_view_permission(request),
    }
    return render_page(model_admin, request, "poketalk/admin/place.html", context)


def quote_context(quote: Quote, user: Any, site: AdminSite) -> dict[str, Any]:
    """The template's context for a quote. Numbers are not masked, since the user entered them."""
    call = quote.call
    return {
        "is_allowed": quote.is_allowed,
        "caller": _party(quote.caller, user, site),
        "callee": _party(quote.callee, user, site, call.to_extension),
        "undialed": undialed(call),
        "presented_number": permissions.display_number(quote.presented_number, True),
        "local_time": _local_time(quote.callee_time),
        "time_is_known": quote.callee_time.known,
        "quiet_hours": quote.quiet_hours,
        "is_quiet": quote.callee_time.quiet,
        "length": call_status.length(call.max_duration),
        "cost": "" if call.max_cost is None else call_status.cost(call.max_cost, call.service),
        "caps": [_cap(cap) for cap in quote.caps if _may_see(user, cap)],
    }


def _may_see(user: Any, cap: Cap) -> bool:
    """Whether this user may see how much of a cap is used. How often a number was called tells
    which of the masked calls were to it.
    """
    if cap.name in OF_NUMBERS and not permissions.may_see_numbers(user):
        return False
    return cap.is_own or permissions.may_see_totals(user)


def _party(party: Party, user: Any, site: AdminSite, extension: str = "") -> dict[str, Any]:
    entry = party.blacklisted
    return {
        "number": permissions.display_number(party.number, True, extension),
        "country": party.country and countries.name(party.country),
        "entry": entry,
        "entry_link": _link(entry, user, site) if entry else "",
    }


def _link(entry: BlacklistedNumber, user: Any, site: AdminSite) -> str:
    if not permissions.may_keep_blacklist(user, "view", entry):
        return ""
    return admin_url(site, "poketalk_blacklistednumber_change", entry.pk)


def _local_time(callee_time: CalleeTime) -> list[str]:
    """The local time, or the earliest and the latest possible one."""
    ends = dict.fromkeys((callee_time.local[0], callee_time.local[-1]))
    return [moment_with_zone(at, at.tzinfo) for at in ends]


def _cap(cap: Cap) -> dict[str, Any]:
    figures = {"used": cap.used, "limit": cap.limit, "left": cap.left}
    return {
        "name": CAPS[cap.name],
        "is_reached": cap.is_reached,
        **{
            name: (call_status.cost(figure) or "0") if isinstance(figure, Decimal) else figure
            for name, figure in figures.items()
        },
    }


def _option(phone: Phone) -> str:
    number = f"\N{LEFT-TO-RIGHT ISOLATE}{phone.display}\N{POP DIRECTIONAL ISOLATE}"
    return f"{phone.label}: {number}" if phone.label else number


def _callee_help_text(region: str | None) -> Any:
    if region:
        return _(
            "This phone rings once you have answered yours. Numbers without + and country code"
            " are taken as numbers in %(country)s."
        ) % {"country": countries.with_name(region)}
    return _(
        "This phone rings once you have answered yours. Enter the number with + and country code."
    )
