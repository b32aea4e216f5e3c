"""The events that the service sent for each call."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .calls import CallRequest
from .states import Status


class CallEvent(models.Model):
    """An event as the service sent it, and our answer. Append-only."""

    call = models.ForeignKey(
        CallRequest, verbose_name=_("call"), on_delete=models.CASCADE, related_name="events"
    )
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    remote_address = models.CharField(_("sender’s address"), max_length=45, blank=True)
    status = models.SmallIntegerField(_("status"), choices=Status.choices)
    duration = models.PositiveIntegerField(_("duration"), null=True, blank=True)
    cost = models.DecimalField(_("cost"), max_digits=15, decimal_places=6, null=True, blank=True)
    answer = models.PositiveSmallIntegerField(
        _("answer sent"), help_text=_("200, or 412 to end the call.")
    )
    reason = models.CharField(_("because"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.status} {self.get_status_display()} → {self.answer}"
