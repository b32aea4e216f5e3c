"""API keys in the admin: issue, rotate and revoke them.

A key is displayed once, in the response to the form that created it. It is not in a message, which
a cookie or the session would store.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from django_poketalk.shared.admin_pages import render_page
from django_poketalk.shared.changelist import SafeLookups

from ..billing import ledger
from ..database.clock import database_now
from ..models import ApiKey

FACTS = ("prefix", "created_at", "revoked_at", "last_used_at", "last_used_from")


class IssueForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form for a new key. `newest` is the newest key when the form was opened, so that a form
    that is submitted twice does not create a second key, which nobody would see.
    """

    newest = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = ApiKey
        fields = ("account", "label", "expires_at")

    def clean_expires_at(self) -> datetime | None:
        """Reject a time that has passed."""
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= database_now():
            raise forms.ValidationError(_("Enter a time in the future."))
        return expires_at

    def clean(self) -> dict[str, Any]:
        """Reject a repeated form. The account stays locked until the key is saved."""
        cleaned = super().clean() or self.cleaned_data
        account, newest = cleaned.get("account"), cleaned.get("newest")
        if account is not None and newest is not None:
            ledger.lock(account.pk)
            if ApiKey.objects.filter(account=account, pk__gt=newest).exists():
                raise forms.ValidationError(
                    _(
                        "A key of this account was issued after this form was opened. If nobody"
                        " has copied it, revoke it and open the form again."
                    )
                )
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(SafeLookups, admin.ModelAdmin):  # type: ignore[type-arg]
    """API keys, identified by their first characters."""

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}

    issued_template = "admin/poketalk_server/apikey/issued.html"
    revoke_template = "admin/poketalk_server/apikey/revoke.html"
    list_display = (
        *("prefix", "account", "label", "last_used_at", "last_used_from"),
        *("expires_at", "revoked_at", "created_at"),
    )
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("account",)
    search_fields = ("prefix", "label", "account__name")
    autocomplete_fields = ("account",)
    actions = ("revoke",)

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = IssueForm
        return super().get_form(request, obj, change, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        newest = ApiKey.objects.order_by("-pk").values_list("pk", flat=True).first()
        return {**super().get_changeform_initial_data(request), "newest": newest or 0}

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return ("account", "label", "expires_at", "newest")
        return ("account", "label", "expires_at", *FACTS)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """A key cannot be moved to another account, and a revoked one cannot be changed."""
        if obj is None:
            return ()
        fixed = ("account", *FACTS)
        return fixed if obj.revoked_at is None else (*fixed, "label", "expires_at")

    @sensitive_variables()
    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=form.changed_data)  # whatever else has changed meanwhile
            return
        key, secret = ApiKey.issue(obj.account, obj.label, obj.expires_at)
        obj.pk = key.pk
        obj.refresh_from_db()
        request.poketalk_secret = secret  # type: ignore[attr-defined]  # for this response only

    @sensitive_variables()
    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The page with the new key, and the other valid keys of the account."""
        others = ApiKey.objects.usable().filter(account=obj.account_id).exclude(pk=obj.pk)
        context = {
            "title": gettext("The new key of %(account)s") % {"account": obj.account},
            "original": obj,
            "media": self.media,
            "secret": getattr(request, "poketalk_secret", None),
            "others": list(others.order_by("-pk")),
        }
        response = render_page(self, request, self.issued_template, context)
        response.headers["Cache-Control"] = "no-store, private"
        return response.render()

    @admin.action(description=_("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        """Revoke keys for good, after asking. Effective immediately."""
        keys = list(queryset.filter(revoked_at=None).select_related("account"))
        if not keys:
            self.message_user(request, gettext("These keys have already been revoked."), "warning")
            return None
        if "confirmed" not in request.POST:
            context = {"title": gettext("Revoke keys"), "keys": keys, "media": self.media}
            return render_page(self, request, self.revoke_template, context)
        for key in keys:
            if ApiKey.objects.filter(pk=key.pk).revoke():
                self.log_change(request, key, [{"changed": {"fields": ["revoked_at"]}}])
        self.message_user(request, gettext("Revoked: %(count)d.") % {"count": len(keys)})
        return None
