"""Rows that are called by phone numbers: masked, except for readers who may see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import models
from django.utils.translation import get_language_bidi

from ..protocol import numbers

_for_all: ContextVar[bool | None] = ContextVar("shows_numbers", default=None)


class NamedByNumbers(models.Model):
    """A row whose `str()` contains phone numbers. They are masked, since nobody knows who reads a
    log or a message, unless whoever displays the row sets `shows_numbers`.
    """

    shows_numbers = False

    class Meta:
        abstract = True

    def __str__(self) -> str:
        forced = _for_all.get()
        if not (self.shows_numbers if forced is None else forced):
            return self.name_with(numbers.mask)
        name = self.name_with(numbers.display)
        if not get_language_bidi():
            return name
        return f"\N{LEFT-TO-RIGHT ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"

    def __repr__(self) -> str:
        with show_numbers(False):  # it is for logs and error reports
            return super().__repr__()

    def name_with(self, number: Callable[[str], str]) -> str:
        """The row's name, with each phone number written by this function."""
        raise NotImplementedError


@contextmanager
def show_numbers(whole: bool) -> Iterator[None]:
    """Show the numbers of all rows, or of none, whatever their `shows_numbers` says."""
    token = _for_all.set(whole)
    try:
        yield
    finally:
        _for_all.reset(token)
