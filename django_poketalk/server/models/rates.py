"""Rates by prefix: sell rates for accounts, and buy rates of gateways."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from ..billing.rating import Tariff
from .gateways import Gateway, digits_validator, validate_prefix
from .price_lists import PriceList

ALWAYS = date(2000, 1, 1)  # the first day of rates that were not announced for one

MAX_INCREMENT = 32_767  # seconds, and the most that the columns of all databases store

R = TypeVar("R", bound="PrefixRate")


class PrefixRateQuerySet(models.QuerySet[R]):
    """Rates by the days on which they are valid."""

    def valid_on(self, day: Any) -> PrefixRateQuerySet[R]:
        """The rates that apply on this day: the newest of each prefix. The day may be an
        expression.
        """
        return self.filter(~Exists(self._newer(day)), valid_from__lte=day)

    def past_on(self, day: Any) -> PrefixRateQuerySet[R]:
        """The rates that newer ones have replaced by this day."""
        # No rate is older than `ALWAYS`: the database then begins with the few newer rates.
        return self.filter(Exists(self._newer(day).filter(valid_from__gt=ALWAYS)))

    def _newer(self, day: Any) -> Any:
        """The rates that apply by this day instead of the outer query's one."""
        same = {name: OuterRef(name) for name in self.model.key_fields()}
        return self.model._base_manager.filter(
            **same, valid_from__gt=OuterRef("valid_from"), valid_from__lte=day
        )


class PrefixRate(models.Model):
    """The price of calls to numbers with a prefix, from the midnight when `valid_from` begins in
    the project's `TIME_ZONE`. The longest prefix that is valid wins, and of its rates the newest;
    the empty prefix matches every number. Internal rates are for internal numbers, which no other
    rate matches, and match nothing else.
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
        validators=[MinValueValidator(1), MaxValueValidator(MAX_INCREMENT)],
        help_text=_("Initial increment: billed even if the call is shorter."),
    )
    subsequent_increment = models.PositiveSmallIntegerField(
        _("billing increment"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_INCREMENT)],
        help_text=_(
            "Subsequent increment, in seconds: time beyond the minimum is rounded up to a multiple "
            "of it."
        ),
    )
    minimum_charge = models.DecimalField(
        _("minimum charge"),
        max_digits=12,
        decimal_places=6,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0))],
        help_text=_("What an answered leg costs at least, connect fee included."),
    )
    valid_from = models.DateField(
        _("valid from"),
        default=ALWAYS,
        help_text=_(
            "From midnight in the service’s time zone, until a later rate of the prefix is valid."
        ),
    )

    objects: ClassVar[Any] = PrefixRateQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = [models.Index(fields=["valid_from"], name="poketalk_%(class)s_from")]
        constraints = [
            models.CheckConstraint(
                condition=Q(price_per_minute__gte=0, connect_fee__gte=0, minimum_charge__gte=0),
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

    @classmethod
    def key_fields(cls) -> tuple[str, ...]:
        """The fields that rates for the same numbers share. With the day, they are unique."""
        return cls.owner_field, "is_internal", "prefix"

    @property
    def tariff(self) -> Tariff:
        """The prices as a value for `rating`."""
        return Tariff.of(self)


class Rate(PrefixRate):
    """A sell rate: the price for the accounts of a price list, in its currency."""

    owner_field = "price_list"

    price_list = models.ForeignKey(
        PriceList, verbose_name=_("price list"), on_delete=models.CASCADE, related_name="rates"
    )

    class Meta(PrefixRate.Meta):
        verbose_name = _("rate")
        verbose_name_plural = _("rates")
        ordering = ["price_list", "is_internal", "prefix", "valid_from"]
        constraints = [
            *PrefixRate.Meta.constraints,
            models.UniqueConstraint(
                fields=["price_list", "is_internal", "prefix", "valid_from"],
                name="poketalk_server_one_rate_a_day",
            ),
        ]


class BuyRate(PrefixRate):
    """A buy rate: the price that a gateway charges us, in the currency of the accounts that use it.
    Accounts never see it.
    """

    owner_field = "gateway"

    gateway = models.ForeignKey(
        Gateway, verbose_name=_("gateway"), on_delete=models.CASCADE, related_name="rates"
    )

    class Meta(PrefixRate.Meta):
        verbose_name = _("buy rate")
        verbose_name_plural = _("buy rates")
        ordering = ["gateway", "is_internal", "prefix", "valid_from"]
        constraints = [
            *PrefixRate.Meta.constraints,
            models.UniqueConstraint(
                fields=["gateway", "is_internal", "prefix", "valid_from"],
                name="poketalk_server_one_buy_rate_a_day",
            ),
        ]
