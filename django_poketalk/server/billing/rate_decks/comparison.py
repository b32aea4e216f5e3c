"""What a deck changes: every rate that is new, changed or deleted, and what to check about them."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext as _

from ...models import ALWAYS
from .columns import COLUMNS, INTERNAL, KEY, MONEY, PRICE, TERMS, VALID_FROM, Key, Owner, Terms
from .reading import Deck, Wrong
from .validity import RatesByDay, remarks_on_days

CHANGE_LIMIT = 50  # percent by which a price or an increment may change without a mark
NEIGHBORS = 5  # prefixes on each side that a price is compared with
FEWEST_NEIGHBORS = 3
TIMES = 5  # how often a price may be the median of its neighbors

KINDS = NEW, CHANGED, DELETED = "new", "changed", "deleted"


class Change(NamedTuple):
    """A rate that is new (no `before`), changed, or deleted (no `after`)."""

    key: Key
    before: Terms | None
    after: Terms | None
    replaced: Terms | None = None  # by a new rate from its first day on: an older one's

    @property
    def kind(self) -> str:
        """NEW, CHANGED or DELETED."""
        return NEW if self.before is None else DELETED if self.after is None else CHANGED

    @property
    def prefix(self) -> str:
        """The prefix as in a deck."""
        return self.key.prefix or "*"

    @property
    def terms(self) -> Terms:
        """What it comes to; for a deleted rate, what it was."""
        return self.after or self.before  # type: ignore[return-value]  # it has one of them

    @property
    def old(self) -> Terms | None:
        """What calls cost without the change, if that is an own rate of the prefix."""
        return self.before or self.replaced

    def difference(self, name: str = PRICE) -> Decimal | None:
        """By how many percent this figure changes; None from zero, and if there was or is none."""
        if self.old is None or self.after is None:
            return None
        before, after = getattr(self.old, name), getattr(self.after, name)
        return (after - before) * 100 / before if before else None

    def __str__(self) -> str:
        """The change on a line: `44 UK: changed, 0.12 + 0, 1/1 → 0.15 + 0, 1/1 (+25.0 %)`."""
        name = f"{self.prefix} {self.terms.destination}".strip()
        internal = ", internal" if self.key.is_internal else ""
        day = "" if self.key.valid_from == ALWAYS else f", from {self.key.valid_from}"
        values = [_values(terms) for terms in (self.old, self.after) if terms]
        difference = self.difference()
        percent = "" if difference is None else f" ({difference:+.1f} %)"
        return f"{name}{internal}{day}: {self.kind}, {' → '.join(values)}{percent}"

    def reversed(self) -> Change:
        """The change back."""
        return Change(self.key, self.after, self.before)


def _values(terms: Terms) -> str:
    """Price, fee and increments, such as `0.12 + 0.05, 60/6`."""
    price, fee = plain(terms.price_per_minute), plain(terms.connect_fee)
    increments = f"{terms.initial_increment}/{terms.subsequent_increment}"
    least = f", at least {plain(terms.minimum_charge)}" if terms.minimum_charge else ""
    return f"{price} + {fee}, {increments}{least}"


class Mark(NamedTuple):
    """A change that somebody must confirm, and why."""

    change: Change
    reason: str


@dataclass(frozen=True)
class Comparison:
    """What an import would change. `wrong` are the lines that forbid it; `remarks` are sentences
    about the whole file.
    """

    owner: Owner
    changes: list[Change]
    unchanged: int = 0
    remarks: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)

    @cached_property
    def counts(self) -> Counter[str]:
        """How many rates are NEW, CHANGED and DELETED."""
        return Counter(change.kind for change in self.changes)

    @property
    def deleted(self) -> list[Change]:
        """The deleted rates, by prefix."""
        return [change for change in self.changes if change.after is None]

    @cached_property
    def as_json(self) -> str:
        """The changes as JSON, which `from_json` reads."""
        stored = [change[:3] for change in self.changes]
        return json.dumps(stored, cls=DjangoJSONEncoder, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Tells these changes from any others."""
        return hashlib.sha256(self.as_json.encode()).hexdigest()


def from_json(text: str) -> list[Change]:
    """The changes in this JSON."""
    return [
        Change(_key(*key), before and _terms(before), after and _terms(after))
        for key, before, after in json.loads(text)
    ]


def _key(is_internal: bool, prefix: str, day: str = "") -> Key:
    return Key(is_internal, prefix, date.fromisoformat(day) if day else ALWAYS)


def _terms(values: list[Any]) -> Terms:
    named: Any = zip(TERMS, values, strict=False)  # earlier versions had fewer columns
    read: Any = (Decimal(value) if name in MONEY else value for name, value in named)
    return Terms(*read)


def stored(owner: Owner) -> dict[Key, Terms]:
    """The owner's rates, ordered by key."""
    rows = owner.rates.order_by().values_list(*KEY, *TERMS)
    return {Key(bool(row[0]), *row[1:3]): Terms(*row[3:]) for row in rows.iterator(chunk_size=5000)}


def compare(owner: Owner, deck: Deck, *, delete_missing: bool = False) -> Comparison:
    """What importing this deck as the owner's rates would change now.

    Rates that the file does not have stay unless `delete_missing`, which deletes those that begin
    on the same days as the file's. Decks of carriers have no column
    `is_internal`: they leave internal rates alone. Columns that the file does not have stay as they
    are, and are the default in new rates.
    """
    if deck.wrong:
        return Comparison(owner, [], wrong=deck.wrong)
    before = stored(owner)
    older = RatesByDay(before)
    after = {
        key: _merged(before.get(key) or older.before(key), row.terms)
        for key, row in deck.rows.items()
    }
    changes = [
        Change(key, before.get(key), terms)
        for key, terms in after.items()
        if before.get(key) != terms
    ]
    unchanged = len(after) - len(changes)
    if delete_missing:
        kinds = (False, True) if INTERNAL in deck.columns else (False,)
        days = {key.valid_from for key in after}
        changes += [
            Change(key, terms, None)
            for key, terms in before.items()
            if key not in after and key.is_internal in kinds and key.valid_from in days
        ]
    changes.sort(key=lambda change: change.key)
    remains = before | after
    for change in changes:
        if change.after is None:
            del remains[change.key]
    by_day = RatesByDay(remains)
    changes = [
        change if change.before else Change(*change[:3], by_day.before(change.key))
        for change in changes
    ]
    return Comparison(
        owner,
        changes,
        unchanged=unchanged,
        remarks=[
            *_remarks(deck, after),
            *remarks_on_days(after, by_day, delete_missing=delete_missing),
        ],
        marks=_marks(changes, by_day),
    )


DEFAULTS = Terms("", Decimal(0), Decimal(0), 1, 1)
OPTIONAL = (INTERNAL, VALID_FROM, "minimum_charge")


def _merged(before: Terms | None, values: list[Any]) -> Terms:
    """The values of a row, with those of the stored rate for columns that the file lacks."""
    if None in values:
        pairs: Any = zip(before or DEFAULTS, values, strict=True)
        return Terms(*(old if new is None else new for old, new in pairs))
    return Terms(*values)


def _remarks(deck: Deck, after: dict[Key, Terms]) -> list[str]:
    """Sentences about the file as a whole."""
    remarks = []
    if deck.unread:
        named = ", ".join(deck.unread)
        remarks.append(_("These columns are not read: %(names)s.") % {"names": named})
    missing = [name for name in COLUMNS if name not in deck.columns and name not in OPTIONAL]
    if missing:
        remarks.append(
            _(
                "The file has no column %(names)s. Rates that exist keep their values. In new"
                " rates, a missing destination is empty, a missing connect fee is 0, and a missing"
                " increment is 1 second."
            )
            % {"names": ", ".join(missing)}
        )
    for key, terms in after.items():
        if not key.prefix:
            words = (
                _("The file has a rate for all other internal numbers: %(price)s per minute.")
                if key.is_internal
                else _("The file has a rate for all other numbers: %(price)s per minute.")
            )
            remarks.append(words % {"price": plain(terms.price_per_minute)})
    return remarks


def plain(number: Decimal) -> str:
    """The number without needless zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _marks(changes: list[Change], rates: RatesByDay) -> list[Mark]:
    """The changes to confirm: of the rate for all numbers, by more than half, and prices far from
    those of the prefixes beside them.
    """
    medians = _medians(rates, [change.key for change in changes if change.after])
    marks = []
    words = {  # translated once, not for each of many changes
        PRICE: _("The price changes by more than %d %%.") % CHANGE_LIMIT,
        "connect_fee": _("The connect fee changes by more than %d %%.") % CHANGE_LIMIT,
        "minimum_charge": _("The minimum charge changes by more than %d %%.") % CHANGE_LIMIT,
        "initial_increment": _("The minimum billed seconds change by more than %d %%.")
        % CHANGE_LIMIT,
        "subsequent_increment": _("The billing increment changes by more than %d %%.")
        % CHANGE_LIMIT,
    }
    for change in changes:
        reasons = [
            *_reasons_of_change(change, words),
            *([] if change.after is None else _reasons_of_price(change, medians.get(change.key))),
        ]
        if reasons:
            marks.append(Mark(change, " ".join(reasons)))
    return marks


def _reasons_of_change(change: Change, words: dict[str, str]) -> list[str]:
    reasons = []
    if not change.key.prefix:
        reasons.append(_("This rate applies to all other numbers."))
    if change.old and change.after:
        reasons += [says for name, says in words.items() if _is_large(change, name)]
    return reasons


def _is_large(change: Change, name: str) -> bool:
    difference = change.difference(name)
    if difference is None:  # from zero
        return bool(getattr(change.after, name))
    return abs(difference) > CHANGE_LIMIT


def _reasons_of_price(change: Change, median: int | None) -> list[str]:
    if median is None:
        return []
    price, beside = _millionths(change.terms), plain(Decimal(median) / 1_000_000)
    if price > TIMES * median:
        words = _(
            "The price is more than five times the median price of the neighboring prefixes (%s)."
        )
        return [words % beside]
    if price * TIMES < median:
        words = _(
            "The price is less than a fifth of the median price of the neighboring prefixes (%s)."
        )
        return [words % beside]
    return []


def _medians(rates: RatesByDay, wanted: list[Key]) -> dict[Key, int]:
    """For each of these keys, the median price of the prefixes beside it on its first day, in
    millionths: of up to `NEIGHBORS` on each side, in the order of prefixes. None for a key that has
    too few, or whose neighbors are free.
    """
    found: dict[Key, int] = {}
    for is_internal in (False, True):
        prefixes = [each for each in rates.prefixes(is_internal=is_internal) if each]
        places = {prefix: place for place, prefix in enumerate(prefixes)}
        for key in wanted:
            if key.is_internal != is_internal or not key.prefix:
                continue
            place = places[key.prefix]
            names = prefixes[max(0, place - NEIGHBORS) : place]
            names += prefixes[place + 1 : place + 1 + NEIGHBORS]
            beside = [
                _millionths(terms)
                for name in names
                if (terms := rates.on(is_internal, name, key.valid_from))
            ]
            if len(beside) >= FEWEST_NEIGHBORS and (median := int(statistics.median(beside))):
                found[key] = median
    return found


def _millionths(terms: Terms) -> int:
    return int(terms.price_per_minute.scaleb(6))


def summary(comparison: Comparison) -> str:
    """How many rates change, in words."""
    counts = comparison.counts
    return _("%(new)d new, %(changed)d changed, %(deleted)d deleted, %(unchanged)d unchanged.") % {
        "new": counts[NEW],
        "changed": counts[CHANGED],
        "deleted": counts[DELETED],
        "unchanged": comparison.unchanged,
    }
