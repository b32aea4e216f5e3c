"""Rate decks: all rates of a provider, or all buy rates of a gateway, as a CSV file, read with
django-import-export.

Nothing is written before the whole file is right: `read` says what would become of each row, and
`write` does it, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import tablib
from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.utils.translation import gettext as _
from import_export.fields import Field
from import_export.instance_loaders import BaseInstanceLoader
from import_export.resources import ModelResource
from import_export.results import RowResult
from import_export.widgets import Widget

from ..models import BuyRate, Gateway, Rate, ServiceProvider
from ..models.rates import PrefixRate

COLUMNS = (
    "prefix",
    "destination",
    "price_per_minute",
    "connect_fee",
    "initial_increment",
    "subsequent_increment",
)
CHANGEABLE = COLUMNS[1:]
NEEDED = ("prefix", "price_per_minute")
MOST_ROWS = 50_000  # which take a third of the half minute that a web server waits
MOST_TOLD = 200  # rows, and errors, that are named
MOST_DIGITS = 30  # of a number, written out: what `1e9999999` means would fill the memory
BATCH = 500


Owner = ServiceProvider | Gateway


class UnreadableDeck(ValueError):
    """The file is no rate deck at all: says why."""


@dataclass(slots=True)
class ImportResult:
    """What became of a deck, or would. Rows are counted from 1 behind the header."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)
    told: list[tuple[str, PrefixRate]] = field(
        default_factory=list
    )  # "new" or "changed", the first ones

    @property
    def does_something(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.new or self.changed or self.deleted)


class _Deck(BaseInstanceLoader):  # type: ignore[misc]
    """The owner's rates by prefix, read once."""

    def __init__(self, resource: Any, dataset: Any = None) -> None:
        super().__init__(resource, dataset)
        self._rates = {rate.prefix: rate for rate in resource.get_queryset()}

    def get_instance(self, row: Any) -> PrefixRate | None:
        return self._rates.get(_prefix(row))


class _Number(Widget):  # type: ignore[misc]
    """Decimal text; whole seconds where `is_whole`."""

    def __init__(self, *, is_whole: bool = False) -> None:
        super().__init__()
        self._is_whole = is_whole

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        if value is None or not str(value).strip():
            return None
        try:
            number = Decimal(str(value).strip())
            if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
                raise InvalidOperation
            if self._is_whole and number != int(number):
                raise InvalidOperation
        except InvalidOperation:
            raise ValueError(_("%s is not a valid number here.") % repr(value)) from None
        return int(number) if self._is_whole else number


class DeckResource(ModelResource):  # type: ignore[misc]
    """One owner's rates; a subclass names their model."""

    price_per_minute = Field("price_per_minute", "price_per_minute", _Number())
    connect_fee = Field("connect_fee", "connect_fee", _Number(), default=Decimal(0))
    initial_increment = Field(
        "initial_increment", "initial_increment", _Number(is_whole=True), default=1
    )
    subsequent_increment = Field(
        "subsequent_increment", "subsequent_increment", _Number(is_whole=True), default=1
    )

    class Meta:
        fields = COLUMNS
        import_id_fields = ("prefix",)
        instance_loader_class = _Deck
        use_bulk = True
        batch_size = BATCH
        report_skipped = True
        skip_diff = True  # which copies each row twice: `skip_row` knows without
        store_instance = True

    def __init__(self, owner: Owner) -> None:
        super().__init__()
        self._owner = owner
        self._seen: set[str] = set()
        self._before: tuple[Any, ...] | None = None  # the row's values as they are stored

    def get_queryset(self) -> Any:
        return self._owner.rates.all()

    def init_instance(self, row: Any = None) -> PrefixRate:
        model: type[PrefixRate] = self._meta.model
        return model(**{model.owner_field: self._owner})

    def before_import_row(self, row: Any, **kwargs: Any) -> None:
        """Refuse a prefix that stood in the file before."""
        row["prefix"] = _prefix(row)
        if row["prefix"] in self._seen:
            raise ValidationError({"prefix": _("This prefix is in the file twice.")})
        self._seen.add(row["prefix"])

    def after_init_instance(self, instance: Any, new: bool, row: Any, **kwargs: Any) -> None:
        """Remember what is stored."""
        self._before = None if new else _values(instance)

    def skip_row(
        self, instance: Any, original: Any, row: Any, import_validation_errors: Any = None
    ) -> bool:
        """Whether nothing changes."""
        return not import_validation_errors and self._before == _values(instance)

    def bulk_create(self, transactions: Any, dry_run: bool, *args: Any, **kwargs: Any) -> None:
        """Write in earnest only: a look writes nothing, not even to take it back."""
        if dry_run:
            self.create_instances.clear()
        else:
            super().bulk_create(transactions, dry_run, *args, **kwargs)

    def bulk_update(self, transactions: Any, dry_run: bool, *args: Any, **kwargs: Any) -> None:
        """The same for rates that change: as rows that are there already, many times as quick as
        Django's `bulk_update` with its condition for each row and column.
        """
        if self.update_instances and not dry_run:
            named = connections[self.get_queryset().db].features
            self.get_queryset().bulk_create(
                self.update_instances,
                batch_size=BATCH,
                update_conflicts=True,
                update_fields=[*CHANGEABLE],
                unique_fields=["id"] if named.supports_update_conflicts_with_target else None,
            )
        self.update_instances.clear()

    def validate_instance(
        self,
        instance: PrefixRate,
        import_validation_errors: Any = None,
        validate_unique: bool = True,
    ) -> None:
        """The columns one by one. That prefixes are unique takes no query: all are known."""
        errors = dict(import_validation_errors or {})
        try:
            instance.clean_fields(exclude=[*errors, instance.owner_field])
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        if errors:
            raise ValidationError(errors)


class RateResource(DeckResource):
    """A provider's rates: what its accounts pay."""

    class Meta:
        model = Rate


class BuyRateResource(DeckResource):
    """A gateway's rates: what it asks of us."""

    class Meta:
        model = BuyRate


def read(owner: Owner, text: str, *, whole: bool = False) -> ImportResult:
    """What the CSV would do to the owner's rates. `whole`: rates that it does not have go.

    `UnreadableDeck` for what is no CSV with the columns `NEEDED`, or too long.
    """
    return _import(owner, text, whole=whole, is_rehearsal=True)


def write(owner: Owner, text: str, *, whole: bool = False) -> ImportResult:
    """Do it: all of it or, when a row is wrong, nothing."""
    with transaction.atomic():
        outcome = _import(owner, text, whole=whole, is_rehearsal=False)
        if outcome.errors:
            transaction.set_rollback(True)
    return outcome


def rows(owner: Owner) -> Iterator[tuple[Any, ...]]:
    """The owner's rates as they stand in a deck, by prefix; see `COLUMNS`."""
    yield from owner.rates.order_by("prefix").values_list(*COLUMNS).iterator(chunk_size=2000)


def _import(owner: Owner, text: str, *, whole: bool, is_rehearsal: bool) -> ImportResult:
    dataset = _dataset(text)
    before = dict(owner.rates.values_list("prefix", "pk"))
    resource = BuyRateResource if isinstance(owner, Gateway) else RateResource
    result = resource(owner).import_data(
        dataset, dry_run=is_rehearsal, use_transactions=False, raise_errors=False
    )
    outcome = ImportResult(
        new=result.totals[RowResult.IMPORT_TYPE_NEW],
        changed=result.totals[RowResult.IMPORT_TYPE_UPDATE],
        unchanged=result.totals[RowResult.IMPORT_TYPE_SKIP],
        errors=[*_errors(result)],
    )
    words = {RowResult.IMPORT_TYPE_NEW: "new", RowResult.IMPORT_TYPE_UPDATE: "changed"}
    for row in result.rows:
        if row.import_type in words and len(outcome.told) < MOST_TOLD:
            outcome.told.append((words[row.import_type], row.instance))
    if whole and not outcome.errors:
        gone = [before[prefix] for prefix in before.keys() - {_prefix(row) for row in dataset.dict}]
        outcome.deleted = len(gone)
        while gone and not is_rehearsal:
            owner.rates.filter(pk__in=gone[:BATCH]).delete()
            gone = gone[BATCH:]
    return outcome


def _dataset(text: str) -> Any:
    try:
        dataset = tablib.Dataset().load(text.lstrip("\ufeff"), format="csv")
    except tablib.InvalidDimensions as error:
        raise UnreadableDeck(
            _("A row does not have as many columns as the header. Separate columns with commas.")
        ) from error
    except Exception as error:  # tablib and csv raise whatever they meet
        raise UnreadableDeck(_("The file cannot be read as CSV: %s") % error) from error
    dataset.headers = [str(name).strip().lower() for name in dataset.headers or ()]
    names = [name for name in dataset.headers if name]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UnreadableDeck(_("The header names a column twice: %s.") % ", ".join(sorted(twice)))
    if missing := [name for name in NEEDED if name not in dataset.headers]:
        raise UnreadableDeck(_("The file has no column %s.") % ", ".join(missing))
    if len(dataset) > MOST_ROWS:
        raise UnreadableDeck(_("A deck has at most %d rows.") % MOST_ROWS)
    if not len(dataset):
        raise UnreadableDeck(_("The file has no rows."))
    return dataset


def _errors(result: Any) -> Iterator[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for row in result.invalid_rows:
        said = (f"{name}: {', '.join(words)}" for name, words in row.field_specific_errors.items())
        general = row.non_field_specific_errors
        found.append((row.number, "; ".join([*said, *general])))
    for row in result.error_rows:
        found += [(row.number, str(error.error)) for error in row.errors]
    found += [(0, str(error.error)) for error in result.base_errors]
    yield from sorted(found)


def _values(rate: PrefixRate) -> tuple[Any, ...]:
    return tuple(getattr(rate, name) for name in COLUMNS)


def _prefix(row: Any) -> str:
    """The digits; "*" and nothing mean all numbers."""
    return str(row.get("prefix") or "").strip().removeprefix("+").removeprefix("*")
