"""Names of rows in the admin of both halves, with or without whole numbers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse

from .number_names import show_numbers


def named(rows: QuerySet[Any], whole: bool | Q) -> QuerySet[Any]:
    """The rows, with whole numbers in the names of all, none, or those that meet a condition."""
    value = ExpressionWrapper(whole, BooleanField()) if isinstance(whole, Q) else Value(whole)
    found: QuerySet[Any] = rows.annotate(shows_numbers=value)
    return found


class NumbersInDeletions(admin.ModelAdmin):  # type: ignore[type-arg]
    """For rows whose deletion also deletes rows with numbers in their names."""

    def whole_numbers(self, request: HttpRequest) -> bool | Q:
        """Whether the user may see all numbers, or the condition that a row must meet."""
        raise NotImplementedError

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The rows to delete, with whole numbers in their names if the user may see all."""
        if self.whole_numbers(request) is not True:
            return super().get_deleted_objects(objs, request)
        with show_numbers(True):
            return super().get_deleted_objects(objs, request)


class NumbersInNames(NumbersInDeletions):
    """For rows with numbers in their names. The history masks them, because others can read it."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return named(super().get_queryset(request), self.whole_numbers(request))

    def response_add(
        self, request: HttpRequest, obj: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj.shows_numbers = self.whole_numbers(request) is True
        return super().response_add(request, obj, *args, **kwargs)

    def log_addition(self, *args: Any, **kwargs: Any) -> Any:
        with show_numbers(False):
            return super().log_addition(*args, **kwargs)

    def log_change(self, *args: Any, **kwargs: Any) -> Any:
        with show_numbers(False):
            return super().log_change(*args, **kwargs)

    def log_deletions(self, *args: Any, **kwargs: Any) -> Any:
        with show_numbers(False):
            return super().log_deletions(*args, **kwargs)
