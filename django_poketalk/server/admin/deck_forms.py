"""The forms of a deck's import, and what django-import-export needs: formats and a resource."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.core import signing
from django.core.exceptions import ObjectDoesNotExist
from django.core.validators import MinValueValidator
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from import_export.formats.base_formats import Format
from import_export.forms import ConfirmImportForm, ImportForm
from import_export.resources import Resource
from import_export.results import Result

from ..billing.rate_decks import importing, reading
from ..billing.rate_decks.columns import Owner
from ..billing.rate_decks.comparison import Comparison, compare
from ..models import ALWAYS, Gateway

MAX_AGE = 3600  # seconds between preview and import
MAX_BYTES = 20_000_000


def owner_name(owner: Owner) -> str:
    """The owner of a deck; gateways of two providers may have one name."""
    return f"{owner.provider}: {owner}" if isinstance(owner, Gateway) else str(owner)


class DeckFormat(Format):  # type: ignore[misc]
    """A dialect of CSV. It is binary, so that each temporary storage keeps every byte."""

    dialect: reading.Dialect

    def __init__(self, encoding: str | None = None) -> None:
        """The encoding is always UTF-8."""

    def get_title(self) -> str:
        return self.dialect.label

    def can_import(self) -> bool:
        return True

    def create_dataset(self, in_stream: bytes | None) -> reading.Deck:
        if in_stream is None:  # a cache may silently drop large values
            raise reading.UnreadableDeck(_("The file is too large."))
        return reading.read(in_stream, self.dialect)


FORMATS = tuple(
    type(f"{dialect.name.title()}Format", (DeckFormat,), {"dialect": dialect})
    for dialect in reading.Dialect
)


class DeckResult(Result):  # type: ignore[misc]
    """What an import changes, or would change. `digest` is that of the file."""

    def __init__(self, comparison: Comparison, digest: str) -> None:
        super().__init__()
        self.comparison, self.digest = comparison, digest

    def has_errors(self) -> bool:
        return bool(self.comparison.wrong)

    @property
    def can_be_confirmed(self) -> bool:
        """Whether all lines are valid, and there is anything to write."""
        return not self.has_errors() and bool(self.comparison.changes)


class DeckResource(Resource):  # type: ignore[misc]
    """The rates of one owner. `delete_missing`: rates that the file does not have are deleted.
    `valid_from` is the first day of rows without one; None for rates that apply at once. `changes`
    is the digest of the changes that somebody has confirmed.
    """

    OPTIONS = ("owner", "delete_missing", "changes", "valid_from")

    def __init__(
        self,
        owner: Any = None,
        delete_missing: bool | None = None,
        changes: str | None = None,
        valid_from: date | None = None,
    ) -> None:
        super().__init__()
        self._valid_from = valid_from or ALWAYS
        self._owner, self._delete_missing, self._changes = owner, bool(delete_missing), changes

    @classmethod
    def get_display_name(cls) -> str:
        return cls.__name__

    def import_data(
        self, dataset: reading.Deck, dry_run: bool = False, user: Any = None, **kwargs: Any
    ) -> DeckResult:
        """All rows or, if one is invalid, none."""
        deck = dataset.from_day(self._valid_from)
        if dry_run:
            comparison = compare(self._owner, deck, delete_missing=self._delete_missing)
        else:
            comparison = importing.run(
                self._owner,
                deck,
                delete_missing=self._delete_missing,
                by=user,
                expected=self._changes or "",
            )
        return DeckResult(comparison, dataset.digest)


class DeckForm(ImportForm):  # type: ignore[misc]
    """Whose rates, the file, how it is written, and whether it replaces the deck."""

    owner: Any = forms.ModelChoiceField(None)
    delete_missing = forms.BooleanField(
        label=_("delete rates that the file does not have"),
        required=False,
        help_text=_("Only rates with the same first day as a rate in the file."),
    )
    valid_from = forms.DateField(
        label=_("valid from"),
        required=False,
        validators=[MinValueValidator(ALWAYS)],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text=_(
            "The first day of rows without a date, from midnight in the service’s time zone. Leave"
            " empty to import them as rates that apply at once."
        ),
    )
    field_order = ("owner", "import_file", "format", "valid_from", "delete_missing")

    def __init__(self, *args: Any, owners: QuerySet[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["owner"]
        choice.queryset, choice.label = owners, owners.model._meta.verbose_name
        choice.label_from_instance = owner_name
        self.fields["import_file"].label = _("CSV file")
        self.fields["format"].label = _("CSV format")
        self.initial.setdefault("format", "0")
        for name in ("import_file", "format"):  # no script guesses the format
            self.fields[name].widget.attrs.pop("class", None)

    def clean_import_file(self) -> Any:
        """Before the file is stored."""
        if self.cleaned_data["import_file"].size > MAX_BYTES:
            raise forms.ValidationError(_("The file is too large."))
        return self.cleaned_data["import_file"]


class ConfirmDeckForm(ConfirmImportForm):  # type: ignore[misc]
    """What was previewed, all of it in one signed field: the name and the digest of the temporary
    file, the options and the digest of the changes. Only who previewed a file can confirm it, and
    only for the same model. If changes were marked, somebody must say that they are checked.
    """

    original_file_name = format = resource = None
    checked = forms.BooleanField(required=False)

    def __init__(self, *args: Any, owners: QuerySet[Any], salt: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owners, self._salt = owners, salt

    def preview(self, comparison: Comparison, digest: str) -> None:
        """Ask to confirm these changes."""
        marks = len(comparison.marks)
        chosen: dict[str, Any] = dict(self.initial)  # type: ignore[has-type]
        preview = {**chosen, "digest": digest, "changes": comparison.digest, "marks": marks}
        self.initial = {"import_file_name": signing.dumps(preview, salt=self._salt)}
        self.fields["checked"].label = ngettext(
            "I have checked the marked rate.", "I have checked the %(count)d marked rates.", marks
        ) % {"count": marks}
        self.fields["checked"].widget.is_required = True
        self.fields["checked"].required = True

    def clean(self) -> dict[str, Any]:
        signed = self.cleaned_data.get("import_file_name", "")
        try:
            preview = signing.loads(signed, salt=self._salt, max_age=MAX_AGE)
            owner = self._owners.get(pk=preview["owner"])
        except (signing.BadSignature, ObjectDoesNotExist) as error:
            raise forms.ValidationError(_("Check the file again, then import it.")) from error
        if preview["marks"] and not self.cleaned_data.get("checked"):
            raise forms.ValidationError(_("Nothing was imported: check the marked rates first."))
        day = preview["valid_from"] and date.fromisoformat(preview["valid_from"])
        return {**preview, "owner": owner, "valid_from": day}
