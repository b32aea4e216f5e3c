"""Phone numbers in the admin of both halves, masked for users who may not see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from ..protocol import numbers
from .changelist import SafeLookups

NUMBERS = {
    *("number", "from_number", "to_number", "to_extension", "presented_number"),
    # texts that may contain one:
    *("reason", "response_detail", "veto_reason", "note", "label", "data", "metadata"),
    *("custom", "problem", "error", "dialog"),
}


def names_a_number(lookup: str) -> bool:
    """Whether a lookup of an address (`?to_number__startswith=44`) is about a phone number, also
    one of a row that this one belongs to. Digit by digit, it would tell a number that is masked.
    """
    return not NUMBERS.isdisjoint(lookup.split("__"))


def without_numbers(ordering: Iterable[Any] | None) -> list[Any]:
    """The ordering without columns of numbers, or newest first: in a sorted list, the place of a
    row among others tells its number.
    """
    kept = [each for each in ordering or () if not names_a_number(str(each).lstrip("-"))]
    return kept or ["-pk"]


class NoNumberLookups(SafeLookups):
    """Refuses lookups in the address, and an ordering, that would reveal masked numbers."""

    def whole_numbers(self, request: HttpRequest) -> bool | Q:
        """Whether the user may see all numbers, or the condition that a row must meet."""
        raise NotImplementedError

    def get_ordering(self, request: HttpRequest) -> Any:
        ordering = super().get_ordering(request) or self.opts.ordering
        return ordering if self.whole_numbers(request) is True else without_numbers(ordering)

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        if names_a_number(lookup) and self.whole_numbers(request) is not True:
            return False
        return super().lookup_allowed(lookup, value, request)


class MaskedNumbers(NoNumberLookups):
    """Replaces each number of a stored row by its mask, as `masks` maps them, unless the user may
    see whole numbers. Of `texts`, those with a number; others can be changed. The fields in
    `fixed` cannot be changed while the number is masked.
    """

    masks: ClassVar[Mapping[str, str]] = {"number": "masked_number"}
    texts: ClassVar[tuple[str, ...]] = ()
    fixed: ClassVar[tuple[str, ...]] = ()

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.for_user(request, super().get_list_display(request))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_fields(request, obj)
        return fields if obj is None else self.for_user(request, fields, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        if obj is None or self.whole_numbers(request) is True:
            return fields
        # Naming the masked fields too takes their inputs out of the form. A masked text has none,
        # and one keeps its own in which a number was typed just now, beside another field's error.
        masked = (name for name in self.masks if name not in self.texts)
        return [*fields, *masked, *self.masks.values(), *self.fixed]

    def for_user(self, request: HttpRequest, names: Any, row: Any = None) -> list[Any]:
        """The columns of a list, or the fields of a row, as this user may see them."""
        if self.whole_numbers(request) is True:
            return list(names)
        masks = self._masks(row)
        return [masks.get(name, name) for name in names]

    def _masks(self, row: Any) -> dict[str, str]:
        """The masks of a list, or of this row: without those of texts that have no number."""
        return {
            name: mask
            for name, mask in self.masks.items()
            if row is None
            or name not in self.texts
            or getattr(self, mask)(row) != getattr(row, name)
        }


def masked_text(field: str, description: Any) -> Callable[[Any, Any], str]:
    """A column with the text of people in this field, in which numbers are masked."""
    return _masked(field, description, numbers.mask_within)


def masked_record(field: str, description: Any) -> Callable[[Any, Any], str]:
    """The same for texts of programs and about rows, in which ids and IP addresses are kept."""
    return _masked(field, description, numbers.mask_in_records)


def _masked(field: str, description: Any, mask: Callable[[str], str]) -> Callable[[Any, Any], str]:
    @admin.display(description=description)
    def column(page: Any, row: Any) -> str:
        return mask(getattr(row, field))

    return column
