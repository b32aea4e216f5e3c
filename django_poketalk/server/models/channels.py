"""The channels of gateways that calls have reserved."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .calls import Call, Side
from .gateways import Gateway


class Channel(models.Model):
    """A channel of a gateway with a limited number, which a call has reserved for one of its legs.

    A call has channels for both legs before leg A is rung, until it ends. They are counted over all
    switches.
    """

    call = models.ForeignKey(
        Call,
        verbose_name=_("call"),
        on_delete=models.CASCADE,
        related_name="channels",
        db_index=False,
    )
    side = models.CharField(_("leg"), max_length=1, choices=Side.choices)
    gateway = models.ForeignKey(
        Gateway, verbose_name=_("gateway"), on_delete=models.CASCADE, related_name="channels"
    )

    class Meta:
        verbose_name = _("reserved channel")
        verbose_name_plural = _("reserved channels")
        ordering = ["gateway", "call", "side"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["call", "side"], name="poketalk_server_leg_channel")
        ]

    def __str__(self) -> str:
        return f"{self.call_id}{self.side}: {self.gateway_id}"
