"""Rate decks in the admin, with django-import-export: a file is previewed first and imported after
somebody has confirmed the preview. The file waits in import-export's temporary storage, the setting
`IMPORT_EXPORT_TMP_STORAGE_CLASS`.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core import signing
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from import_export.admin import ImportMixin
from import_export.exceptions import ImportExportError
from import_export.forms import ConfirmImportForm, ImportForm

from django_poketalk.shared import csv_export
from django_poketalk.shared.admin_pages import admin_url, page_path
from django_poketalk.shared.changelist import SafeLookups

from ..billing import rate_decks
from ..models import Gateway
from ..models.rates import PrefixRate

MAX_AGE = 3600  # seconds between preview and import
MAX_BYTES = 20_000_000


def named(owner: rate_decks.Owner) -> str:
    """The owner of a deck; gateways of two providers may have one name."""
    return f"{owner.provider}: {owner}" if isinstance(owner, Gateway) else str(owner)


class DeckForm(ImportForm):  # type: ignore[misc]
    """Whose rates, the file, and whether it replaces the deck."""

    owner: Any = forms.ModelChoiceField(None)
    delete_missing = forms.BooleanField(
        label=_("delete rates that the file does not have"), required=False
    )
    field_order = ("owner", "import_file", "delete_missing")

    def __init__(self, *args: Any, owners: QuerySet[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["owner"]
        choice.queryset, choice.label = owners, owners.model._meta.verbose_name
        choice.label_from_instance = named
        self.fields["import_file"].label = _("CSV file")
        self.fields["format"].widget = forms.HiddenInput()  # there is one

    def clean_import_file(self) -> Any:
        """Before the file is stored."""
        if self.cleaned_data["import_file"].size > MAX_BYTES:
            raise forms.ValidationError(_("The file is too large."))
        return self.cleaned_data["import_file"]


class ConfirmDeckForm(ConfirmImportForm):  # type: ignore[misc]
    """What was previewed, all of it in one signed field: the name and the digest of the temporary
    file, and the options. Only who previewed a file can confirm it, and only for the same model.
    """

    original_file_name = format = resource = None

    def __init__(self, *args: Any, owners: QuerySet[Any], salt: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owners, self._salt = owners, salt

    def clean(self) -> dict[str, Any]:
        signed = self.cleaned_data.get("import_file_name", "")
        try:
            preview = signing.loads(signed, salt=self._salt, max_age=MAX_AGE)
            return {**preview, "owner": self._owners.get(pk=preview["owner"])}
        except (signing.BadSignature, ObjectDoesNotExist) as error:
            raise forms.ValidationError(_("Check the file again, then import it.")) from error


class RateDecks(SafeLookups, ImportMixin, admin.ModelAdmin):  # type: ignore[misc,type-arg]
    """Adds import and export of decks to the admin of rates: a deck is all of one owner's."""

    model: type[PrefixRate]
    import_export_change_list_template = "admin/poketalk_server/rates.html"
    import_template_name = "admin/poketalk_server/import_rates.html"
    import_form_class = DeckForm
    confirm_form_class = ConfirmDeckForm
    formats = (rate_decks.DeckFormat,)

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}

    def get_urls(self) -> list[URLPattern]:
        export = page_path(self, "export/<int:owner>/", self.export_view, "export")
        return [export, *super().get_urls()]

    def has_import_permission(self, request: HttpRequest) -> bool:
        """Whoever may add, change and delete rates."""
        return (
            super().has_import_permission(request)
            and self.has_add_permission(request)
            and self.has_change_permission(request)
            and self.has_delete_permission(request)
        )

    def is_skip_import_confirm_enabled(self) -> bool:
        """Never: prices are previewed, whatever the project's setting for other imports."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        decks = [(named(owner), owner.pk) for owner in self._owners()]
        return super().changelist_view(request, {"decks": decks, **(extra_context or {})})

    def get_resource_classes(self, request: HttpRequest) -> list[type[rate_decks.DeckResource]]:
        return [rate_decks.resource(self.model)]

    def get_import_resource_kwargs(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        chosen = getattr(kwargs["form"], "cleaned_data", {})
        return {name: chosen.get(name) for name in ("owner", "delete_missing")}

    def get_import_form_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().get_import_form_kwargs(request), "owners": self._owners()}

    def get_confirm_form_kwargs(self, request: HttpRequest, *args: Any) -> dict[str, Any]:
        kwargs = super().get_confirm_form_kwargs(request, *args)
        return {**kwargs, "owners": self._owners(), "salt": self._salt(request)}

    def get_confirm_form_initial(self, request: HttpRequest, import_form: Any) -> dict[str, Any]:
        if import_form is None:
            return {}
        chosen = import_form.cleaned_data
        chosen["import_file"].seek(0)
        preview = {
            **super().get_confirm_form_initial(request, import_form),
            "digest": rate_decks.digest(chosen["import_file"].read()),
            "owner": chosen["owner"].pk,
            "delete_missing": chosen["delete_missing"],
        }
        return {"import_file_name": signing.dumps(preview, salt=self._salt(request))}

    def add_data_read_fail_error_to_form(self, form: Any, e: Exception) -> None:
        if isinstance(e, rate_decks.UnreadableDeck):
            form.add_error("import_file", str(e))
        else:
            super().add_data_read_fail_error_to_form(form, e)

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """The form, and the preview of a file, which is kept only if it can be confirmed."""
        response = super().import_action(request, **kwargs)
        result = response.context_data.get("result")
        response.context_data |= {
            "title": gettext("Import %(rates)s") % {"rates": self.opts.verbose_name_plural},
            "columns": rate_decks.COLUMNS,
            "max_displayed": rate_decks.MAX_DISPLAYED,
            "owner": named(result.owner) if result else "",
        }
        kept = getattr(request.FILES.get("import_file"), "tmp_storage_name", None)
        if kept and not (result and result.can_be_confirmed):
            storage = self.get_tmp_storage_class()
            storage(name=kept, **self.get_tmp_storage_class_kwargs()).remove()
        return response  # type: ignore[no-any-return]

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """The import of a file whose preview was confirmed."""
        try:
            response = super().process_import(request, **kwargs)
        except (OSError, rate_decks.UnreadableDeck):  # no such temporary file, or a changed one
            response = None
        except (ImportExportError, DatabaseError):  # others may have changed rates
            return self._refuse(request, gettext("Nothing was imported: a row is not valid."))
        if response is None or response.status_code == 200:  # the confirm form again
            return self._refuse(request, gettext("Check the file again, then import it."))
        return response  # type: ignore[no-any-return]

    def process_dataset(self, dataset: Any, form: Any, *args: Any, **kwargs: Any) -> Any:
        if dataset.digest != form.cleaned_data["digest"]:
            raise rate_decks.UnreadableDeck
        return super().process_dataset(dataset, form, *args, raise_errors=True, **kwargs)

    def process_result(self, result: Any, request: HttpRequest) -> HttpResponseBase:
        done = super().process_result(result, request)
        return redirect(f"{done.url}?{self.model.owner_field}__id__exact={result.owner.pk}")

    def generate_log_entries(self, result: Any, request: HttpRequest) -> None:
        """One entry for the deck, not one for each of its rates."""
        message = "Imported rates: {new} new, {update} changed, {delete} deleted."
        self.log_change(request, result.owner, message.format(**result.totals))

    def add_success_message(self, result: Any, request: HttpRequest) -> None:
        said = gettext(
            "Rates imported: %(new)d new, %(changed)d changed, %(deleted)d deleted,"
            " %(unchanged)d unchanged."
        )
        new, changed, deleted, unchanged, *_errors = result.totals.values()
        figures = {"new": new, "changed": changed, "deleted": deleted, "unchanged": unchanged}
        self.message_user(request, said % figures, "success")

    def export_view(self, request: HttpRequest, owner: int) -> HttpResponseBase:
        """An owner's deck as a CSV file that can be imported again, sent row by row."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = get_object_or_404(self._owners(), pk=owner)
        csv_export.log(request, self.model, f"Exported the rates of {named(found)}.")
        name = f"{self.opts.model_name}s-{found.pk}.csv"
        return csv_export.stream(name, rate_decks.columns(found), rate_decks.rows(found))

    def _refuse(self, request: HttpRequest, message: str) -> HttpResponseBase:
        self.message_user(request, message, "error")
        page = "{}_{}_import".format(*self.get_model_info())
        return redirect(admin_url(self.admin_site, page))

    def _owners(self) -> QuerySet[Any]:
        owner: Any = self.opts.get_field(self.model.owner_field).related_model
        owners: QuerySet[Any] = owner.objects.all()
        return owners.select_related("provider") if owner is Gateway else owners

    def _salt(self, request: HttpRequest) -> str:
        return f"poketalk_server.deck.{self.opts.model_name}.{request.user.pk}"
