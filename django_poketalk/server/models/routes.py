"""Providers, and what each offers: gateways that reach numbers, and rates that price them."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..rating import Tariff

prefix_validator = RegexValidator(
    r"^[0-9]{0,15}\Z", _("Digits only, as on the wire: no + and no spaces.")
)


class ServiceProvider(models.Model):
    """A carrier, or a deal with one: its gateways and its rates go together."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("service provider")
        verbose_name_plural = _("service providers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Gateway(models.Model):
    """A way out to the phones: tried in order of the longest matching prefix, then priority, then
    age.
    """

    class Kind(models.TextChoices):
        SIMULATED = "simulated", _("simulated phones")

    provider = models.ForeignKey(
        ServiceProvider,
        verbose_name=_("service provider"),
        on_delete=models.CASCADE,
        related_name="gateways",
    )
    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    is_active = models.BooleanField(_("active"), default=True)
    prefixes = models.CharField(
        _("prefixes"),
        max_length=500,
        blank=True,
        validators=[
            RegexValidator(r"^[0-9]+( [0-9]+)*\Z", _("Digits, separated by single spaces."))
        ],
        help_text=_("The prefixes it reaches, separated by spaces. Empty: all."),
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"), default=10, help_text=_("Lower is tried first.")
    )
    ring_timeout = models.PositiveSmallIntegerField(
        _("ring timeout"),
        default=30,
        validators=[MinValueValidator(1)],
        help_text=_("Seconds that a phone may ring."),
    )

    class Meta:
        verbose_name = _("gateway")
        verbose_name_plural = _("gateways")
        ordering = ["provider", "priority", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "name"], name="poketalk_server_gateway_name"
            ),
            models.CheckConstraint(
                condition=Q(ring_timeout__gte=1), name="poketalk_server_ring_timeout"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Rate(models.Model):
    """The price of calling numbers that begin with a prefix. The longest prefix wins; the empty one
    is for all numbers.
    """

    provider = models.ForeignKey(
        ServiceProvider,
        verbose_name=_("service provider"),
        on_delete=models.CASCADE,
        related_name="rates",
    )
    prefix = models.CharField(_("prefix"), max_length=15, blank=True, validators=[prefix_validator])
    destination = models.CharField(_("destination"), max_length=100, blank=True)
    price_per_minute = models.DecimalField(_("price per minute"), max_digits=12, decimal_places=6)
    connect_fee = models.DecimalField(
        _("connect fee"), max_digits=12, decimal_places=6, default=Decimal(0)
    )
    initial_increment = models.PositiveSmallIntegerField(
        _("initial increment"), default=1, help_text=_("Seconds billed at least.")
    )
    subsequent_increment = models.PositiveSmallIntegerField(
        _("subsequent increment"), default=1, help_text=_("Seconds in which the rest is billed.")
    )

    class Meta:
        verbose_name = _("rate")
        verbose_name_plural = _("rates")
        ordering = ["provider", "prefix"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "prefix"], name="poketalk_server_one_rate_a_prefix"
            ),
            models.CheckConstraint(
                condition=Q(price_per_minute__gte=0, connect_fee__gte=0),
                name="poketalk_server_rate_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(initial_increment__gte=1, subsequent_increment__gte=1),
                name="poketalk_server_increments_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix or '*'} {self.destination}".strip()

    @property
    def tariff(self) -> Tariff:
        """This rate as the pure value that costs are computed from."""
        return Tariff(
            price_per_minute=self.price_per_minute,
            connect_fee=self.connect_fee,
            initial_increment=self.initial_increment,
            subsequent_increment=self.subsequent_increment,
        )
