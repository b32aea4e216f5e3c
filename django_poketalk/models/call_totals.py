"""The stored totals of past days, from which reports read instead of counting all calls again.

`reports.totals` writes and reads them. What changes a call of a past day afterwards does so inside
`changing`, so that its day is counted again. Events do not: a day is only counted when they no
longer change its calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as project
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save
from django.utils import timezone

# No day is counted while it has a call that is younger.
OLD = timedelta(days=1)


class ReportDay(models.Model):
    """A day in the default time zone, and whether `CallTotals` has its calls."""

    day = models.DateField(primary_key=True)
    time_zone = models.CharField(max_length=64, default="")  # in which the day was counted
    is_counted = models.BooleanField(default=False)
    checked_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.day.isoformat()


class CallTotals(models.Model):
    """The figures (see `reports.figures`) of the calls of a day that have the same outcome, user,
    beginning of the callee's number, or service, as `kind` says.
    """

    day = models.ForeignKey(
        ReportDay, on_delete=models.CASCADE, related_name="totals", db_index=False
    )
    kind = models.CharField(max_length=8)
    key = models.CharField(max_length=40, default="")  # outcome, beginning, or service
    country = models.CharField(max_length=2, default="")  # of the beginning, if it is assigned
    user = models.ForeignKey(  # so that a deleted user's totals become nobody's, as the calls do
        project.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    calls = models.PositiveIntegerField()
    seizures = models.PositiveIntegerField()
    answered = models.PositiveIntegerField()
    requested = models.PositiveIntegerField()
    delivered = models.PositiveIntegerField()
    talk = models.DurationField()
    talks = models.PositiveIntegerField()
    delay = models.DurationField()
    delays = models.PositiveIntegerField()
    spend = models.DecimalField(max_digits=24, decimal_places=6)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["kind", "day"], name="poketalk_totals_of_days")]

    def __str__(self) -> str:
        return f"{self.day_id} {self.kind} {self.key or self.user_id}: {self.calls}"


@contextmanager
def changing(created: Iterable[datetime]) -> Iterator[None]:
    """Change calls that were created at these moments, in a transaction with the note that their
    days must be counted again. Costs nothing for calls of the last day.

    The note comes first: its lock keeps the days from being counted until the commit.
    """
    limit = timezone.now() - OLD
    zone = timezone.get_default_timezone()
    days = sorted({timezone.localdate(moment, zone) for moment in created if moment < limit})
    if not days:
        yield
        return
    with transaction.atomic():
        for day in days:
            ReportDay.objects.update_or_create(
                day=day, defaults={"is_counted": False, "checked_at": None}
            )
        yield


def _note(instance: Any, raw: bool = False, **kwargs: Any) -> None:
    """For calls that are saved or deleted one by one, by whomever."""
    if raw:
        return
    created = instance._meta.get_field("created_at").to_python(instance.created_at)
    with changing([timezone.make_aware(created) if timezone.is_naive(created) else created]):
        pass


post_save.connect(_note, sender="poketalk.CallRequest", dispatch_uid="poketalk_totals_save")
post_delete.connect(_note, sender="poketalk.CallRequest", dispatch_uid="poketalk_totals_delete")
