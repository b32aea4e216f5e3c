"""Service providers."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class LegABilling(models.TextChoices):
    """When billing of leg A begins. Leg B is billed from its own answer."""

    ANSWER = "answer", _("from its own answer")
    CONNECTED = "connected", _("from leg B’s answer")


class ServiceProvider(models.Model):
    """A carrier, or a contract with one: gateways with what it charges for them."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_active = models.BooleanField(_("active"), default=True)
    leg_a_billed = models.CharField(
        _("leg A is billed"),
        max_length=10,
        choices=LegABilling.choices,
        default=LegABilling.ANSWER,
        help_text=_("A change applies to new calls."),
    )

    class Meta:
        verbose_name = _("service provider")
        verbose_name_plural = _("service providers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
