"""Rates by prefix: sell rates for accounts, and buy rates of gateways."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..billing.rating import Tariff
from .routes import Gateway, ServiceProvider, digits_validator, validate_prefix


class PrefixRate(models.Model):
    """The price of calls to numbers with a prefix. The longest prefix wins; the empty one matches
    every number. Internal rates are for internal numbers, which no other rate matches, and match
    nothing else. Money is in the currency of the accounts that use the rate.
    """

    owner_field: ClassVar[str]  # names the owner of the rate deck

    prefix = models.CharField(_("prefix"), max_length=15, blank=True, validators=[digits_validator])
    is_internal = models.BooleanField(
        _("internal"),
        default=False,
        help_text=_(
            "For internal numbers, such as a PBX’s extensions, that begin with the prefix."
        ),
    )
    destination = models.CharField(_("destination"), max_length=100, blank=True)
    price_per_minute = models.DecimalField(
        _("price per minute"),
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(Decimal(0))],
    )
    connect_fee = models.DecimalField(
        _("connect fee"),
        max_digits=12,
        decimal_places=6,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0))],
    )
    initial_increment = models.PositiveSmallIntegerField(
        _("minimum billed seconds"),
        default=1,
        validators=[MinValueValidator(1)],
        help_text=_("Initial increment: billed even if the call is shorter."),
    )
    subsequent_increment = models.PositiveSmallIntegerField(
        _("billing increment"),
        default=1,
        validators=[MinValueValidator(1)],
        help_text=_(
            "Subsequent increment, in seconds: the rest is rounded up to a multiple of it."
        ),
    )

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(price_per_minute__gte=0, connect_fee__gte=0),
                name="poketalk_server_%(class)s_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(initial_increment__gte=1, subsequent_increment__gte=1),
                name="poketalk_server_%(class)s_increments",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix or '*'} {self.destination}".strip()

    def clean(self) -> None:
        """`ValidationError` for a prefix that no number of the rate's kind begins with."""
        super().clean()
        try:
            validate_prefix(self.prefix, is_internal=self.is_internal)
        except ValidationError as error:
            raise ValidationError({"prefix": error}) from error

    @property
    def tariff(self) -> Tariff:
        """The prices as a value for `rating`."""
        return Tariff.of(self)


class Rate(PrefixRate):
    """A sell rate: the price for a provider's accounts."""

    owner_field = "provider"

    provider = models.ForeignKey(
        ServiceProvider,
        verbose_name=_("service provider"),
        on_delete=models.CASCADE,
        related_name="rates",
    )

    class Meta(PrefixRate.Meta):
        verbose_name = _("rate")
        verbose_name_plural = _("rates")
        ordering = ["provider", "is_internal", "prefix"]
        constraints = [
            *PrefixRate.Meta.constraints,
            models.UniqueConstraint(
                fields=["provider", "is_internal", "prefix"],
                name="poketalk_server_one_rate_a_prefix",
            ),
        ]


class BuyRate(PrefixRate):
    """A buy rate: the price that a gateway charges us. Accounts never see it."""

    owner_field = "gateway"

    gateway = models.ForeignKey(
        Gateway, verbose_name=_("gateway"), on_delete=models.CASCADE, related_name="rates"
    )

    class Meta(PrefixRate.Meta):
        verbose_name = _("buy rate")
        verbose_name_plural = _("buy rates")
        ordering = ["gateway", "is_internal", "prefix"]
        constraints = [
            *PrefixRate.Meta.constraints,
            models.UniqueConstraint(
                fields=["gateway", "is_internal", "prefix"],
                name="poketalk_server_one_buy_rate_a_prefix",
            ),
        ]
