"""Rate decks in the admin, with django-import-export: a file is previewed first and imported after
somebody has confirmed the preview. The file waits in import-export's temporary storage, the setting
`IMPORT_EXPORT_TMP_STORAGE_CLASS`. The last import of each deck can be undone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.translation import gettext
from import_export.admin import ImportMixin

from django_poketalk.shared import csv_export
from django_poketalk.shared.admin_pages import admin_url, page_path, render_page
from django_poketalk.shared.changelist import SafeLookups
from django_poketalk.shared.moments import moment_with_zone

from ..billing.rate_decks import comparison, exporting, importing, reading
from ..billing.rate_decks.columns import COLUMNS, Owner
from ..models import DeckImport, Gateway
from ..models.rates import PrefixRate
from .deck_changes import deleted_list, rows
from .deck_forms import FORMATS, ConfirmDeckForm, DeckForm, DeckResource, owner_name

MAX_EXPORTS = 5  # buttons on a list of rates
MAX_DISPLAYED = 200  # changes, marks and errors on a page; deleted rates are all displayed


class RateDecks(SafeLookups, ImportMixin, admin.ModelAdmin):  # type: ignore[misc,type-arg]
    """Adds import, undo and export of decks to the admin of rates: a deck is all of one owner's."""

    model: type[PrefixRate]
    import_export_change_list_template = "admin/poketalk_server/rates.html"
    import_template_name = "admin/poketalk_server/import_rates.html"
    undo_template_name = "admin/poketalk_server/undo_import.html"
    import_form_class = DeckForm
    confirm_form_class = ConfirmDeckForm
    formats = FORMATS

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}

    def get_urls(self) -> list[URLPattern]:
        pages = [
            page_path(self, "export/<int:owner>/", self.export_view, "export"),
            page_path(self, "undo/<int:owner>/", self.undo_view, "undo"),
        ]
        return [*pages, *super().get_urls()]

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
        decks = [(owner_name(owner), owner.pk) for owner in self._exportable(request)]
        return super().changelist_view(request, {"decks": decks, **(extra_context or {})})

    def get_resource_classes(self, request: HttpRequest) -> list[type[DeckResource]]:
        return [DeckResource]

    def get_import_resource_kwargs(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        chosen = getattr(kwargs["form"], "cleaned_data", {})
        return {name: chosen.get(name) for name in DeckResource.OPTIONS}

    def get_import_form_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().get_import_form_kwargs(request), "owners": self._owners()}

    def get_confirm_form_kwargs(self, request: HttpRequest, *args: Any) -> dict[str, Any]:
        kwargs = super().get_confirm_form_kwargs(request, *args)
        return {**kwargs, "owners": self._owners(), "salt": self._salt(request)}

    def get_confirm_form_initial(self, request: HttpRequest, import_form: Any) -> dict[str, Any]:
        if import_form is None:
            return {}
        chosen = import_form.cleaned_data
        return {
            **super().get_confirm_form_initial(request, import_form),
            "owner": chosen["owner"].pk,
            "delete_missing": chosen["delete_missing"],
            "valid_from": chosen["valid_from"] and chosen["valid_from"].isoformat(),
        }

    def add_data_read_fail_error_to_form(self, form: Any, e: Exception) -> None:
        if isinstance(e, reading.UnreadableDeck):
            form.add_error("import_file", str(e))
        else:
            super().add_data_read_fail_error_to_form(form, e)

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """The form, and the preview of a file, which is kept only if it can be confirmed."""
        response = super().import_action(request, **kwargs)
        context = response.context_data
        context |= {
            "title": gettext("Import %(rates)s") % {"rates": self.opts.verbose_name_plural},
            "columns": COLUMNS,
            "imports": [(owner_name(record.owner), record) for record in self._imports()],
        }
        result = context.get("result")
        if result:
            context |= self._displayed(result.comparison)
        if result and result.can_be_confirmed:
            context["confirm_form"].preview(result.comparison, result.digest)
        elif kept := getattr(request.FILES.get("import_file"), "tmp_storage_name", None):
            storage = self.get_tmp_storage_class()
            storage(name=kept, **self.get_tmp_storage_class_kwargs()).remove()
        return response  # type: ignore[no-any-return]

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """The import of a file whose preview was confirmed."""
        again = gettext("Check the file again, then import it.")
        try:
            response = super().process_import(request, **kwargs)
        except (OSError, reading.UnreadableDeck):  # no such temporary file, or a changed one
            return self._refuse(request, again)
        except importing.RatesChanged:
            changed = gettext("Others have changed rates since the preview. Nothing was imported.")
            return self._refuse(request, f"{changed} {again}")
        except DatabaseError:
            return self._database_refused(request)
        if response.status_code == 200:  # the confirm form again
            [message, *_others] = response.context_data["errors"].get("__all__", [again])
            return self._refuse(request, message)
        return response  # type: ignore[no-any-return]

    def process_dataset(self, dataset: Any, form: Any, *args: Any, **kwargs: Any) -> Any:
        if dataset.digest != form.cleaned_data["digest"]:
            raise reading.UnreadableDeck
        return super().process_dataset(dataset, form, *args, **kwargs)

    def process_result(self, result: Any, request: HttpRequest) -> HttpResponseBase:
        super().process_result(result, request)
        return self._to_rates_of(result.comparison.owner)

    def generate_log_entries(self, result: Any, request: HttpRequest) -> None:
        """One entry for the deck, not one for each of its rates."""
        self._log(request, "Imported rates", result.comparison)

    def add_success_message(self, result: Any, request: HttpRequest) -> None:
        said = gettext("Rates imported: %s") % comparison.summary(result.comparison)
        self.message_user(request, said, "success")

    def undo_view(self, request: HttpRequest, owner: int) -> HttpResponseBase:
        """What undoing the last import changes, and a button to do it."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        found = get_object_or_404(self._owners(), pk=owner)
        record = importing.last_import(found)
        if record is None:
            return self._undone_already(request, found)
        try:
            if request.method == "POST" and request.POST.get("import") == record.version:
                done = importing.undo(found, record)
                self._log(request, "Undid the import of rates", done)
                said = gettext("Import undone: %s") % comparison.summary(done)
                self.message_user(request, said, "success")
                return self._to_rates_of(found)
            changes = importing.undoing(found, record)
        except importing.RatesChanged:
            if importing.last_import(found) is None:  # another request was faster
                return self._undone_already(request, found)
            words = gettext("The import cannot be undone: its rates have been changed since.")
            return self._refuse(request, words)
        except DatabaseError:
            return self._database_refused(request)
        title = gettext("Undo the import of %(owner)s") % {"owner": owner_name(found)}
        when = moment_with_zone(record.imported_at)
        context = {"title": title, "record": record, "when": when, "media": self.media}
        return render_page(
            self, request, self.undo_template_name, {**context, **self._displayed(changes)}
        )

    def export_view(self, request: HttpRequest, owner: int) -> HttpResponseBase:
        """An owner's deck as a CSV file that can be imported again, sent row by row."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = get_object_or_404(self._owners(), pk=owner)
        csv_export.log(request, self.model, f"Exported the rates of {owner_name(found)}.")
        name = f"{self.opts.model_name}s-{found.pk}.csv"
        return csv_export.stream(name, exporting.columns(found), exporting.rows(found))

    def _undone_already(self, request: HttpRequest, owner: Owner) -> HttpResponseBase:
        words = gettext("There is no import to undo: the last one has already been undone.")
        self.message_user(request, words, "warning")
        return self._to_rates_of(owner)

    def _database_refused(self, request: HttpRequest) -> HttpResponseBase:
        """A lock that was not released in time, or a rate that somebody has just added."""
        words = gettext(
            "Nothing was changed, perhaps because somebody else was changing rates at the same"
            " time. Try again."
        )
        return self._refuse(request, words)

    def _refuse(self, request: HttpRequest, message: str) -> HttpResponseBase:
        self.message_user(request, message, "error")
        page = "{}_{}_import".format(*self.get_model_info())
        return redirect(admin_url(self.admin_site, page))

    def _to_rates_of(self, owner: Owner) -> HttpResponseBase:
        page = "{}_{}_changelist".format(*self.get_model_info())
        url = admin_url(self.admin_site, page)
        return redirect(f"{url}?{self.model.owner_field}__id__exact={owner.pk}")

    def _log(self, request: HttpRequest, what: str, done: comparison.Comparison) -> None:
        counts = "{new} new, {changed} changed, {deleted} deleted"
        figures = {kind: done.counts[kind] for kind in comparison.KINDS}
        self.log_change(request, done.owner, f"{what}: {counts.format(**figures)}.")

    def _displayed(self, changes: comparison.Comparison) -> dict[str, Any]:
        """What a page displays of these changes."""
        marks = changes.marks[:MAX_DISPLAYED]
        others = [change for change in changes.changes if change.after is not None]
        others.sort(key=lambda change: abs(change.difference() or Decimal(0)), reverse=True)
        return {
            "comparison": changes,
            "owner": owner_name(changes.owner),
            "wrong": changes.wrong[:MAX_DISPLAYED],
            "marked": rows([mark.change for mark in marks], [mark.reason for mark in marks]),
            "deleted": deleted_list(changes.deleted),
            "others": rows(others[:MAX_DISPLAYED]),
            "others_count": len(others),
            "max_displayed": MAX_DISPLAYED,
        }

    def _imports(self) -> QuerySet[DeckImport]:
        """The last import of each deck."""
        field = self.model.owner_field
        found = DeckImport.objects.filter(**{f"{field}__isnull": False}).defer("changes")
        related = ("price_list", "gateway__provider", "imported_by")
        return found.select_related(*related).order_by("-imported_at")

    def _exportable(self, request: HttpRequest) -> list[Any]:
        """Whose decks the list has buttons for: the owner of a filtered list, or all if few."""
        chosen = request.GET.get(f"{self.model.owner_field}__id__exact", "")
        if chosen.isdecimal():
            return list(self._owners().filter(pk=chosen))
        found = list(self._owners()[: MAX_EXPORTS + 1])
        return found if len(found) <= MAX_EXPORTS else []

    def _owners(self) -> QuerySet[Any]:
        owner: Any = self.opts.get_field(self.model.owner_field).related_model
        owners: QuerySet[Any] = owner.objects.all()
        return owners.select_related("provider") if owner is Gateway else owners

    def _salt(self, request: HttpRequest) -> str:
        return f"poketalk_server.deck.{self.opts.model_name}.{request.user.pk}"
