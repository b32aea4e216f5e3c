"""Reads from the database that is written. A replica lags behind: a limit that counted its rows
would not hold, and the page of a call that was just requested would not be found.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import models, router

Row = TypeVar("Row", bound=models.Model, covariant=True)


class PrimaryQuerySet(models.QuerySet[Row]):
    """Rows of the primary database, whatever a database router says about reads."""

    @property
    def db(self) -> str:
        """The alias of the database: that of `using()`, or else the one for writes."""
        named: str | None = self._db  # type: ignore[attr-defined]
        return named or router.db_for_write(self.model, **self._hints)  # type: ignore[attr-defined]
