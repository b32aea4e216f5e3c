"""Which of a prefix's rates applies on a day: the one with the latest first day up to it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import ngettext

from ...models import ALWAYS
from .columns import Key, Terms


class RatesByDay:
    """Rates by prefix, and the days on which they apply."""

    def __init__(self, rates: Mapping[Key, Terms]) -> None:
        self._days: dict[tuple[bool, str], list[date]] = defaultdict(list)
        self._rates = rates
        for is_internal, prefix, day in rates:
            self._days[is_internal, prefix].append(day)
        for days in self._days.values():
            days.sort()

    def prefixes(self, *, is_internal: bool) -> list[str]:
        """All prefixes of this kind, in order."""
        return sorted(prefix for internal, prefix in self._days if internal == is_internal)

    def on(self, is_internal: bool, prefix: str, day: date) -> Terms | None:
        """What applies on the day; None if the prefix has no rate of its own then."""
        return self._at(is_internal, prefix, bisect_right(self._days[is_internal, prefix], day))

    def before(self, key: Key) -> Terms | None:
        """What applies on the day before this rate's first."""
        days = self._days.get((key.is_internal, key.prefix), [])
        return self._at(key.is_internal, key.prefix, bisect_left(days, key.valid_from))

    def is_replaced(self, key: Key) -> bool:
        """Whether a later rate ends this one."""
        return self._days[key.is_internal, key.prefix][-1] > key.valid_from

    def _at(self, is_internal: bool, prefix: str, end: int) -> Terms | None:
        if not end:
            return None
        return self._rates[Key(is_internal, prefix, self._days[is_internal, prefix][end - 1])]


MAX_DAYS = 5  # that the remarks name


def remarks_on_days(
    deck: Mapping[Key, Terms], rates: RatesByDay, *, delete_missing: bool
) -> list[str]:
    """Sentences about when the rates of a deck apply, among all rates as they will be."""
    remarks = []
    days = Counter(key.valid_from for key in deck)
    zone = timezone.get_default_timezone_name()
    for day in sorted(days.keys() - {ALWAYS})[:MAX_DAYS]:
        words = ngettext(
            "%(count)d rate applies from %(day)s, midnight in %(zone)s.",
            "%(count)d rates apply from %(day)s, midnight in %(zone)s.",
            days[day],
        )
        said = {"count": days[day], "day": date_format(day), "zone": zone}
        remarks.append(words % said)
    if ended := sum(map(rates.is_replaced, deck)):
        words = ngettext(
            "%(count)d rate applies only until a later rate of its prefix.",
            "%(count)d rates apply only until later rates of their prefixes.",
            ended,
        )
        remarks.append(words % {"count": ended})
    if delete_missing and len(days) == 1 and ALWAYS not in days:
        remarks += _remaining(deck, rates, *days)
    return remarks


def _remaining(deck: Mapping[Key, Terms], rates: RatesByDay, day: date) -> list[str]:
    """How many prefixes that the deck lacks keep a rate of an earlier day."""
    remaining = sum(
        Key(is_internal, prefix, day) not in deck and rates.on(is_internal, prefix, day) is not None
        for is_internal in {key.is_internal for key in deck}
        for prefix in rates.prefixes(is_internal=is_internal)
    )
    if not remaining:
        return []
    words = ngettext(
        "%(count)d prefix that the file does not have keeps its rate of an earlier day.",
        "%(count)d prefixes that the file does not have keep their rates of earlier days.",
        remaining,
    )
    return [words % {"count": remaining}]
