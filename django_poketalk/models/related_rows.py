"""The rows that belong to one call in tables of their own, as attributes of the call."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ObjectDoesNotExist

from ..shared.number_names import NamedByNumbers

RELATED_ROWS = ("wrap_up", "call_back", "stored_metadata")  # for `select_related`


class WithRelatedRows(NamedByNumbers):
    """Reads the related rows of a call. Each takes one query, unless it was loaded by
    `select_related(*RELATED_ROWS)` or `prefetch_related`.
    """

    class Meta:
        abstract = True

    @property
    def metadata(self) -> dict[str, Any]:
        """The JSON object that the call was requested with. Empty without one."""
        if "_metadata" in self.__dict__ or self.pk is None:  # a call that is being requested
            return dict(self.__dict__.get("_metadata", {}))
        row = _row(self, "stored_metadata")
        return {} if row is None else dict(row.data)

    @metadata.setter
    def metadata(self, data: dict[str, Any]) -> None:
        self.__dict__["_metadata"] = data

    @property
    def wrapped_up(self) -> Any:
        """The `WrapUp` of the call: outcome and note. None if there is none yet."""
        return _row(self, "wrap_up")

    @property
    def follow_up(self) -> Any:
        """The `CallBack` that follows this call, done or not. None without one."""
        return _row(self, "call_back")


def _row(call: Any, name: str) -> Any:
    try:
        return getattr(call, name)
    except ObjectDoesNotExist:
        return None
