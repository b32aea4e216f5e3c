"""The names of rows in the admin of both halves, with the numbers that the reader may see."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse

from .number_names import show_numbers


def named(rows: QuerySet[Any], whole: bool | Q) -> QuerySet[Any]:
    """The rows, named by whole numbers: all, none, or those that meet a condition."""
    shown = ExpressionWrapper(whole, BooleanField()) if isinstance(whole, Q) else Value(whole)
    return rows.annotate(shows_numbers=shown)


class NumbersInDeletions(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows with which other rows that are named by numbers are deleted."""

    def whole_numbers(self, request: HttpRequest) -> bool | Q:
        """Whether the reader may see all numbers, or the condition that a row must meet."""
        raise NotImplementedError

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What would be deleted, as the reader may read it."""
        if self.whole_numbers(request) is not True:
            return super().get_deleted_objects(objs, request)
        with show_numbers(True):
            return super().get_deleted_objects(objs, request)


class NumbersInNames(NumbersInDeletions):
    """Rows that are named by numbers. The history keeps them masked, since others read it."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows, named for this reader."""
        return named(super().get_queryset(request), self.whole_numbers(request))

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        """The message that names the new row."""
        obj.shows_numbers = self.whole_numbers(request) is True
        return super().response_add(request, obj, *args)

    def log_addition(self, *args: Any) -> Any:
        with show_numbers(False):
            return super().log_addition(*args)

    def log_change(self, *args: Any) -> Any:
        with show_numbers(False):
            return super().log_change(*args)

    def log_deletions(self, *args: Any) -> Any:
        with show_numbers(False):
            return super().log_deletions(*args)
