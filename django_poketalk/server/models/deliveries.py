"""The events sent to the customer."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.protocol.codes import HTTP_HANG_UP, CallStatus

from .calls import Call, Status

SLOW = 2.0  # seconds of response time
IS_UNANSWERED = Q(answer__isnull=True)
IS_HANG_UP = Q(answer=HTTP_HANG_UP)
IS_REFUSED = Q(answer__gte=300) & ~Q(answer=HTTP_HANG_UP)
IS_SLOW = Q(seconds__gte=SLOW)
# Statuses that not every call has
RARE = [CallStatus.UNKNOWN, CallStatus.A_FAILED, CallStatus.A_DISCONNECTED, CallStatus.B_FAILED]
HAS_RARE_STATUS = Q(status__in=[status.value for status in RARE])


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
            # Of the filters, each of which finds few among many, newest first
            models.Index(
                fields=["-id"], name="poketalk_server_unanswered", condition=IS_UNANSWERED
            ),
            models.Index(fields=["-id"], name="poketalk_server_hang_ups", condition=IS_HANG_UP),
            models.Index(fields=["-id"], name="poketalk_server_refused", condition=IS_REFUSED),
            models.Index(fields=["-id"], name="poketalk_server_slow", condition=IS_SLOW),
            models.Index(
                fields=["status", "-id"],
                name="poketalk_server_rare_status",
                condition=HAS_RARE_STATUS,
            ),
        ]

    def __str__(self) -> str:
        answer = self.answer or numbers.mask_in_records(self.error)
        return f"{self.sequence}: {self.status} → {answer}"
