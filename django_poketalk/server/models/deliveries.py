"""The events sent to the customer."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers

from .calls import Call, Status


class EventDelivery(models.Model):
    """One request to the EventURL: the event and the endpoint's response. Append-only."""

    call = models.ForeignKey(
        Call,
        verbose_name=_("call"),
        on_delete=models.CASCADE,
        related_name="deliveries",
        db_index=False,
    )
    sequence = models.PositiveIntegerField(_("sequence"))
    status = models.SmallIntegerField(_("status"), choices=Status.choices)
    duration = models.PositiveIntegerField(_("duration"))
    cost = models.DecimalField(_("cost"), max_digits=15, decimal_places=3)
    sent_at = models.DateTimeField(_("sent"))
    seconds = models.FloatField(_("response time (seconds)"))
    answer = models.PositiveSmallIntegerField(
        _("response"), null=True, help_text=_("HTTP status. Empty: no response.")
    )
    error = models.CharField(_("error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("event delivery")
        verbose_name_plural = _("event deliveries")
        ordering = ["call", "sequence"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["call", "sequence"], name="poketalk_server_delivery_sequence"
            )
        ]
        indexes = [
            # Of the filter that finds the few without a response, newest first
            models.Index(
                fields=["-id"], name="poketalk_server_unanswered", condition=Q(answer__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        answer = self.answer or numbers.mask_in_records(self.error)
        return f"{self.sequence}: {self.status} → {answer}"
