"""Rate decks in the admin: a file is looked at first, and imported when somebody has seen what it
does.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.core.validators import ProhibitNullCharactersValidator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared import csv_export
from django_poketalk.shared.admin_urls import admin_url
from django_poketalk.shared.changelist import NoNul

from ..models import Gateway, ServiceProvider
from ..models.rates import PrefixRate

MAX_AGE = 3600  # seconds between the look and the import
MOST_BYTES = 20_000_000
MOST_AROUND = 4096  # bytes of the order's form beside the order, which Django limits together
CAN_IMPORT = find_spec("import_export") is not None


class DeckForm(forms.Form):
    """Whose rates, and the file."""

    file = forms.FileField(label=_("CSV file"))
    whole = forms.BooleanField(label=_("delete rates that the file does not have"), required=False)

    def __init__(self, model: type[PrefixRate], *data: Any) -> None:
        super().__init__(*data)
        owner: Any = model._meta.get_field(model.owner_field)
        choice = owner.formfield()
        choice.label_from_instance = named
        self.fields = {owner.name: choice, **self.fields}

    def clean_file(self) -> str:
        """The file's text."""
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(_("The file is too large."))
        try:
            text = str(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise forms.ValidationError(_("The file is not UTF-8.")) from error
        ProhibitNullCharactersValidator()(text)  # PostgreSQL keeps none
        return text


def named(owner: ServiceProvider | Gateway) -> str:
    """The owner of a deck; gateways of two providers may have one name."""
    return f"{owner.provider}: {owner}" if isinstance(owner, Gateway) else str(owner)


class RateDecks(NoNul, admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds import and export of decks to the admin of rates: a deck is all of one owner's."""

    model: type[PrefixRate]
    change_list_template = "admin/poketalk_server/rates.html"

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("import/", view(self.import_view), name=self._name("import")),
            path("export/<int:owner>/", view(self.export_view), name=self._name("export")),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list, with links to import and export."""
        context = {
            "may_import": CAN_IMPORT and self._may_import(request),
            "import_url": self._url("import"),
            "decks": [(named(owner), self._url("export", owner.pk)) for owner in self._owners()],
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def import_view(self, request: HttpRequest) -> HttpResponseBase:
        """The form; what the file would do; and, once that was seen, the import."""
        if not CAN_IMPORT or not self._may_import(request):
            raise PermissionDenied
        from ..billing import rate_decks

        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": _("Import %(rates)s") % {"rates": self.opts.verbose_name_plural},
            "opts": self.opts,
            "columns": rate_decks.COLUMNS,
        }
        if "order" in request.POST:
            return self._import(request)
        form = DeckForm(self.model, request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            deck = form.cleaned_data
            owner = deck[self.model.owner_field]
            try:
                outcome = rate_decks.read(owner, deck["file"], whole=deck["whole"])
            except rate_decks.UnreadableDeck as error:
                form.add_error("file", str(error))
            else:
                asked = {"owner": owner.pk, "csv": deck["file"], "whole": deck["whole"]}
                order = signing.dumps(asked, salt=self._salt, compress=True)
                most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
                if most is not None and len(order) > most - MOST_AROUND:
                    form.add_error("file", _("The file is too large."))
                else:
                    context |= {
                        "outcome": outcome,
                        "errors": outcome.errors[: rate_decks.MOST_TOLD],
                        "owner": named(owner),
                        "order": order,
                    }
        context["form"] = form
        return TemplateResponse(request, "admin/poketalk_server/import_rates.html", context)

    def _import(self, request: HttpRequest) -> HttpResponseBase:
        from ..billing import rate_decks

        try:
            order = signing.loads(request.POST["order"], salt=self._salt, max_age=MAX_AGE)
        except signing.BadSignature:
            self.message_user(request, gettext("Check the file again, then import it."), "error")
            return redirect(self._url("import"))
        owner = get_object_or_404(self._owners(), pk=order["owner"])
        outcome = rate_decks.write(owner, order["csv"], whole=order["whole"])
        if outcome.errors:
            self.message_user(
                request, gettext("Nothing was imported: a row is not valid."), "error"
            )
            return redirect(self._url("import"))
        said = gettext(
            "Rates imported: %(new)d new, %(changed)d changed, %(deleted)d deleted,"
            " %(unchanged)d unchanged."
        ) % {
            "new": outcome.new,
            "changed": outcome.changed,
            "deleted": outcome.deleted,
            "unchanged": outcome.unchanged,
        }
        self.log_change(
            request,
            owner,
            f"Imported rates: {outcome.new} new, {outcome.changed} changed,"
            f" {outcome.deleted} deleted.",
        )
        self.message_user(request, said, messages.SUCCESS)
        query = f"?{self.model.owner_field}__id__exact={owner.pk}"
        return redirect(self._url("changelist") + query)

    def export_view(self, request: HttpRequest, owner: int) -> HttpResponseBase:
        """An owner's deck as a CSV file, as it can be imported again."""
        if not self.has_view_permission(request) or not CAN_IMPORT:
            raise PermissionDenied
        from ..billing import rate_decks

        found = get_object_or_404(self._owners(), pk=owner)
        csv_export.log(request, self.model, f"Exported the rates of {named(found)}.")
        name = f"{self.opts.model_name}s-{found.pk}.csv"
        return csv_export.stream(name, rate_decks.COLUMNS, rate_decks.rows(found))

    def _owners(self) -> QuerySet[Any]:
        owner: Any = self.opts.get_field(self.model.owner_field).related_model
        owners: QuerySet[Any] = owner.objects.all()
        return owners.select_related("provider") if owner is Gateway else owners

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _url(self, page: str, *args: Any) -> str:
        return admin_url(self.admin_site, self._name(page), *args)

    @property
    def _salt(self) -> str:
        """So that nobody imports as one side's rates what was looked at as the other's."""
        return f"poketalk_server.deck.{self.opts.model_name}"

    def _may_import(self, request: HttpRequest) -> bool:
        """Whoever may add, change and delete rates."""
        return (
            self.has_add_permission(request)
            and self.has_change_permission(request)
            and self.has_delete_permission(request)
        )
