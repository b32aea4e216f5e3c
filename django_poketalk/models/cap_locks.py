"""Locks that make the caps on calls exact."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

from django.db import connections, models, router
from django.db.models import F

from ..shared.compiled import CompiledQuery


class CapLock(models.Model):
    """A row to lock. `migrate` creates all rows; they never change. Rows that are missing, such as
    after an import of other data, are created when they are needed.
    """

    SLOTS: ClassVar = 64  # that all users share, and as many that all numbers share

    slot = models.PositiveSmallIntegerField(primary_key=True)
    taken = models.BooleanField(default=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"lock {self.slot}"

    @classmethod
    def take(cls, slots: Sequence[int]) -> None:
        """Lock these rows, in ascending order, until the transaction ends."""
        using = router.db_for_write(cls)
        features = connections[using].features
        if not features.has_select_for_update:  # SQLite: a write locks the whole database
            cls.objects.using(using).filter(slot__in=slots).update(taken=F("taken"))
        else:
            locked = _locked(features.has_select_for_no_key_update)
            if len(locked.rows([*slots], using=using)) < len(slots):
                create_cap_locks(using)
                locked.rows([*slots], using=using)


@cache
def _locked(no_key: bool) -> CompiledQuery:
    return CompiledQuery(
        lambda slots: (
            CapLock.objects.filter(slot__in=slots)
            .order_by("slot")
            .select_for_update(no_key=no_key)
            .values_list("slot")
        )
    )


def create_cap_locks(using: str, **signal: Any) -> None:
    """The rows to lock. A receiver of `post_migrate`, so that they also exist after a flush."""
    if router.allow_migrate_model(using, CapLock):
        rows = [CapLock(slot=slot) for slot in range(1 + 2 * CapLock.SLOTS)]
        CapLock.objects.using(using).bulk_create(rows, ignore_conflicts=True)
