"""Rows with phone numbers in their names, which are masked except for users who may see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import models
from django.utils.html import format_html
from django.utils.translation import get_language_bidi

from ..protocol import numbers

SHORTEST_NUMBER = 7  # digits of a phone number

_for_all: ContextVar[bool | None] = ContextVar("shows_numbers", default=None)


def may_be_a_number(prefix: str) -> bool:
    """Whether a prefix is so long that it can be somebody's number, and must be masked."""
    return len(numbers.wire(prefix)) >= SHORTEST_NUMBER


def left_to_right(number: str) -> str:
    """A displayed number as HTML: on one line, and in its order in every language."""
    return format_html('<bdi dir="ltr">{}</bdi>', number.replace(" ", "\N{NO-BREAK SPACE}"))


class NamedByNumbers(models.Model):
    """A row whose `str()` contains phone numbers. They are masked, because anybody may read a log
    or a message. Set `shows_numbers` on the row to display them to a user who may see them.
    """

    shows_numbers = False

    class Meta:
        abstract = True

    def __str__(self) -> str:
        forced = _for_all.get()
        if not (self.shows_numbers if forced is None else forced):
            return numbers.mask_within(self.name_with(numbers.mask))  # labels may have numbers too
        name = self.name_with(numbers.display)
        if not get_language_bidi():
            return name
        return f"\N{LEFT-TO-RIGHT ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"

    def __repr__(self) -> str:
        with show_numbers(False):  # for logs and error reports
            return super().__repr__()

    def name_with(self, number: Callable[..., str]) -> str:
        """The row's name. `number` formats each phone number, and an extension behind it if it is
        called with one.
        """
        raise NotImplementedError


@contextmanager
def show_numbers(whole: bool) -> Iterator[None]:
    """Display or mask the numbers of all rows, regardless of their `shows_numbers`."""
    token = _for_all.set(whole)
    try:
        yield
    finally:
        _for_all.reset(token)
