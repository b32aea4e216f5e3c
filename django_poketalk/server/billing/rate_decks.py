"""Rate decks: all rates of a provider, or all buy rates of a gateway, as a CSV file, imported with
django-import-export. `DeckFormat` parses a file, and a `DeckResource` compares its rows with the
stored rates and writes them: all rows, or none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import cache, partial
from operator import attrgetter
from typing import Any

import tablib
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db import connections, models
from django.utils.translation import gettext as _
from import_export.formats.base_formats import TablibFormat
from import_export.resources import ModelResource, modelresource_factory
from import_export.results import Result

from ..models import Gateway, ServiceProvider
from ..models.rates import PrefixRate
from ..models.routes import validate_prefix

COLUMNS = (
    "prefix",
    "destination",
    "price_per_minute",
    "connect_fee",
    "initial_increment",
    "subsequent_increment",
    "is_internal",
)
INTERNAL = "is_internal"
YES, NO = ("1", "yes", "true"), ("", "0", "no", "false")
REQUIRED = ("prefix", "price_per_minute")
MAX_ROWS = 50_000
MAX_DISPLAYED = 200  # rows, and errors, of a preview
MAX_DIGITS = 30  # of a number, written out: `1e9999999` would fill the memory
BATCH = 500

_values = attrgetter(*COLUMNS)

Owner = ServiceProvider | Gateway
Key = tuple[bool, str]  # whether it is internal, and the prefix


class UnreadableDeck(ValueError):
    """The file is not a rate deck. The message says why."""


class DeckFormat(TablibFormat):  # type: ignore[misc]
    """How a file becomes rows. It is binary, so that each temporary storage keeps every byte."""

    TABLIB_MODULE = "tablib.formats._csv"

    def create_dataset(self, in_stream: bytes | None) -> Any:
        """The rows, with the column names of the header and the file's `digest`. `UnreadableDeck`
        for a file that is not CSV with the columns `REQUIRED`, or has too many rows.
        """
        if in_stream is None:  # a cache may silently drop large values
            raise UnreadableDeck(_("The file is too large."))
        try:
            text = in_stream.decode("utf-8-sig").lstrip("\ufeff")
            ProhibitNullCharactersValidator()(text)  # PostgreSQL stores none
            dataset = tablib.Dataset().load(text, format="csv")
        except UnicodeDecodeError as error:
            raise UnreadableDeck(_("The file is not UTF-8.")) from error
        except ValidationError as error:
            raise UnreadableDeck(error.message) from error
        except tablib.InvalidDimensions as error:
            raise UnreadableDeck(
                _(
                    "A row does not have as many columns as the header."
                    " Separate columns with commas."
                )
            ) from error
        except Exception as error:  # tablib and csv raise many kinds
            raise UnreadableDeck(_("The file cannot be read as CSV: %s") % error) from error
        dataset.digest = digest(in_stream)
        dataset.headers = [str(name).strip().lower() for name in dataset.headers or ()]
        names = [name for name in dataset.headers if name]
        if twice := {name for name in names if names.count(name) > 1}:
            named = ", ".join(sorted(twice))
            raise UnreadableDeck(_("The header names a column twice: %s.") % named)
        if missing := [name for name in REQUIRED if name not in names]:
            raise UnreadableDeck(_("The file has no column %s.") % ", ".join(missing))
        if len(dataset) > MAX_ROWS:
            raise UnreadableDeck(_("A deck has at most %d rows.") % MAX_ROWS)
        if not len(dataset):
            raise UnreadableDeck(_("The file has no rows."))
        return dataset


def digest(data: bytes) -> str:
    """Tells a file from any other."""
    return hashlib.sha256(data).hexdigest()


class DeckResult(Result):  # type: ignore[misc]
    """What an import changes, or would change. `totals` counts the rows of each kind."""

    owner: Owner

    @property
    def can_be_confirmed(self) -> bool:
        """Whether all rows are valid, and there is anything to write."""
        totals = self.totals
        return not self.errors and bool(totals["new"] or totals["update"] or totals["delete"])

    @property
    def errors(self) -> list[tuple[int, str]]:
        """Row numbers, from 1 after the header, and what is wrong with them. 0 is the deck."""
        found: list[tuple[int, str]] = []
        for row in self.invalid_rows:
            said = (
                f"{name}: {', '.join(words)}" for name, words in row.field_specific_errors.items()
            )
            found.append((row.number, "; ".join([*said, *row.non_field_specific_errors])))
        found += [(row.number, str(each.error)) for row in self.error_rows for each in row.errors]
        return sorted(found + [(0, str(each.error)) for each in self.base_errors])


class DeckResource(ModelResource):  # type: ignore[misc]
    """The rates of one owner. `delete_missing`: rates that the file does not have are deleted."""

    class Meta:
        fields = COLUMNS
        import_id_fields = ("prefix",)  # `get_instance` looks at `is_internal` too
        use_transactions = True
        use_bulk = True
        batch_size = BATCH
        report_skipped = False
        skip_diff = True  # it copies each row twice
        store_instance = True

    def __init__(self, owner: Owner | None = None, *, delete_missing: bool = False) -> None:
        super().__init__()
        self._owner: Any = owner
        self._delete_missing = delete_missing
        self._stored: dict[Key, PrefixRate] = {}
        self._seen: set[Key] = set()
        self._before: Any = None  # the stored values of the current row
        self._clean = cache(partial(_clean, self._meta.model))  # many rows have the same values
        self._check_prefix = cache(validate_prefix)

    @classmethod
    def get_result_class(cls) -> type[DeckResult]:
        return DeckResult

    def import_data(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """All rows or, if one is invalid, none."""
        return super().import_data(
            dataset, *args, **{**kwargs, "rollback_on_validation_errors": True}
        )

    def before_import(self, dataset: Any, **kwargs: Any) -> None:
        """Decks of carriers have no column `is_internal`: they leave internal rates alone."""
        rates = self._owner.rates.all()
        if INTERNAL not in dataset.headers:
            rates = rates.filter(is_internal=False)
        self._stored = {(rate.is_internal, rate.prefix): rate for rate in rates}

    def before_import_row(self, row: Any, **kwargs: Any) -> None:
        """Write the prefix as it is stored, "" for all numbers, and refuse one that repeats."""
        row["prefix"] = str(row["prefix"] or "").strip().removeprefix("+").removeprefix("*")
        key = _key(row)
        if key in self._seen:
            raise ValidationError({"prefix": _("This prefix is in the file twice.")})
        self._seen.add(key)

    def get_instance(self, instance_loader: Any, row: Any) -> PrefixRate | None:
        rate = self._stored.get(_key(row))
        self._before = rate and _values(rate)
        return rate

    def init_instance(self, row: Any = None) -> PrefixRate:
        model: type[PrefixRate] = self._meta.model
        return model(**{model.owner_field: self._owner})

    def import_instance(self, instance: PrefixRate, row: Any, **kwargs: Any) -> None:
        """Set the columns that the file has, each validated as the model does."""
        errors = {}
        for name in COLUMNS:
            try:
                if name in row:
                    setattr(instance, name, self._clean(name, row[name]))
            except ValidationError as error:
                errors[name] = error
        if not errors:
            try:
                self._check_prefix(instance.prefix, is_internal=instance.is_internal)
            except ValidationError as error:
                errors["prefix"] = error
        if errors:
            raise ValidationError(errors)

    def skip_row(
        self, instance: Any, original: Any, row: Any, import_validation_errors: Any = None
    ) -> bool:
        return not import_validation_errors and self._before == _values(instance)

    def save_instance(self, instance: Any, is_create: bool, row: Any, **kwargs: Any) -> None:
        """Write nothing in a preview, not even to roll it back."""
        if not self._is_dry_run(kwargs):
            super().save_instance(instance, is_create, row, **kwargs)

    def bulk_update(self, *args: Any, **kwargs: Any) -> None:
        """Update as rows that exist already, which is many times faster than Django's `bulk_update`
        with its condition for each row and column.
        """
        rates = self._owner.rates.all()
        features = connections[rates.db].features
        rates.bulk_create(
            self.update_instances,
            batch_size=BATCH,
            update_conflicts=True,
            update_fields=[*COLUMNS[1:]],
            unique_fields=["id"] if features.supports_update_conflicts_with_target else None,
        )
        self.update_instances.clear()

    def after_import(self, dataset: Any, result: Any, dry_run: bool = False, **kwargs: Any) -> None:
        """Delete what is missing. Primary keys are never imported, so no sequence needs a reset."""
        result.owner = self._owner
        if not self._delete_missing or result.errors:
            return
        gone = [rate.pk for key, rate in self._stored.items() if key not in self._seen]
        result.totals["delete"] = len(gone)
        while gone and not dry_run:
            self._owner.rates.filter(pk__in=gone[:BATCH]).delete()
            gone = gone[BATCH:]


def resource(model: type[PrefixRate]) -> type[DeckResource]:
    """The resource of rates or of buy rates."""
    made: type[DeckResource] = modelresource_factory(model, DeckResource)
    return made


def columns(owner: Owner) -> tuple[str, ...]:
    """The columns of the owner's deck: `is_internal` only if there are internal rates."""
    has_internal = owner.rates.filter(is_internal=True).exists()
    return COLUMNS if has_internal else tuple(name for name in COLUMNS if name != INTERNAL)


def rows(owner: Owner) -> Iterator[tuple[Any, ...]]:
    """The owner's rates as they stand in a deck, by prefix; see `columns`."""
    stored = owner.rates.order_by(INTERNAL, "prefix").values_list(*columns(owner))
    for row in stored.iterator(chunk_size=2000):
        yield tuple(int(value) if isinstance(value, bool) else value for value in row)


def _key(row: Any) -> Key:
    return row.get(INTERNAL, "").strip().lower() in YES, row["prefix"]


def _clean(model: type[PrefixRate], name: str, text: str) -> Any:
    """The value of a column, or a `ValidationError`."""
    column: Any = model._meta.get_field(name)
    if isinstance(column, models.BooleanField):
        if text.strip().lower() not in (*YES, *NO):
            raise ValidationError(_("Enter 1 for yes or 0 for no."))
        return text.strip().lower() in YES
    if isinstance(column, models.CharField):
        return column.clean(text, None)
    if not text.strip():
        return column.clean(column.get_default(), None)
    is_whole = isinstance(column, models.IntegerField)
    try:
        number = Decimal(text)
        if not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS:
            raise InvalidOperation
        if is_whole and number != int(number):
            raise InvalidOperation
    except InvalidOperation:
        raise ValidationError(_("%s is not a valid number here.") % repr(text)) from None
    return column.clean(int(number) if is_whole else number, None)
