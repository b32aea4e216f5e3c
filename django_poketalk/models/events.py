"""The events that the service sent for each call."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .calls import CallRequest
from .primary import PrimaryQuerySet
from .states import Status


class CallEvent(models.Model):
    """An event as the service sent it, and our answer. Only `events.recording` writes events.

    A repeated report, with the same `slot`, updates its row: `received_at` is the time of the
    first, the other columns are those of the latest, and `times` counts them.
    """

    call = models.ForeignKey(
        CallRequest,
        verbose_name=_("call"),
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,
    )
    # Made of the status and the duration. Events that earlier versions recorded have none.
    slot = models.PositiveIntegerField(null=True, editable=False)
    times = models.PositiveIntegerField(_("times"), default=1, db_default=1)
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    remote_address = models.CharField(_("sender’s address"), max_length=45, blank=True)
    status = models.SmallIntegerField(_("status"), choices=Status.choices)
    duration = models.PositiveIntegerField(_("duration"), null=True, blank=True)
    cost = models.DecimalField(_("cost"), max_digits=15, decimal_places=6, null=True, blank=True)
    answer = models.PositiveSmallIntegerField(
        _("answer sent"), help_text=_("200, or 412 to end the call.")
    )
    reason = models.CharField(_("because"), max_length=200, blank=True)

    objects = PrimaryQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["id"]
        default_permissions = ("view",)
        constraints = [
            # Also the index that finds the events of a call
            models.UniqueConstraint(fields=["call", "slot"], name="poketalk_one_event_per_slot")
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.get_status_display()} → {self.answer}"
