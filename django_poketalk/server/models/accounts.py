"""Accounts with their money, API keys and allowed addresses."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, validate_email
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Round
from django.db.models.lookups import GreaterThanOrEqual
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..database.clock import DatabaseNow
from .currencies import validate_currency
from .price_lists import PriceList
from .providers import ServiceProvider

MONEY = ("balance", "held", "spent_on", "spent", "average_cost")  # only `ledger` writes these
# Only `ledger` and `low_balance` write these.
WARNING = ("low_balance_since", "low_balance_mail_due_at")
USE_INTERVAL = timedelta(minutes=1)
MAPPED_IPV4 = ipaddress.IPv6Network("::ffff:0:0/96")


def validate_emails(text: str) -> None:
    """`ValidationError` unless these are e-mail addresses, separated by commas."""
    for address in text.split(","):
        validate_email(address.strip())


class Account(models.Model):
    """A customer. Only `ledger` writes `balance`, `held`, `spent_on`, `spent` and `average_cost`.

    `held` is the part of the balance that live calls reserve; balance − held is never below
    −credit limit. `spent` is the amount charged on the day `spent_on`.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    provider = models.ForeignKey(
        ServiceProvider,
        verbose_name=_("service provider"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="accounts",
    )
    price_list = models.ForeignKey(
        PriceList,
        verbose_name=_("price list"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="accounts",
        help_text=_("What the account pays. Without one, it cannot make calls."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    currency = models.CharField(
        _("currency"),
        max_length=3,
        default="EUR",
        validators=[validate_currency],
        help_text=_("Must be the currency of the price list."),
    )
    balance = models.DecimalField(
        _("balance"), max_digits=15, decimal_places=3, default=Decimal(0), editable=False
    )
    held = models.DecimalField(
        _("held for live calls"),
        max_digits=15,
        decimal_places=3,
        default=Decimal(0),
        editable=False,
    )
    credit_limit = models.DecimalField(
        _("credit limit"),
        max_digits=15,
        decimal_places=3,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0))],
        help_text=_("How far the balance may go below zero."),
    )
    spent_on = models.DateField(_("day of the last charge"), null=True, editable=False)
    spent = models.DecimalField(
        _("charged that day"),
        max_digits=15,
        decimal_places=3,
        default=Decimal(0),
        editable=False,
    )
    average_cost = models.DecimalField(
        _("average cost of a call"), max_digits=15, decimal_places=3, null=True, editable=False
    )
    max_live_calls = models.PositiveIntegerField(
        _("maximum live calls"), null=True, blank=True, help_text=_("Leave empty for no limit.")
    )
    max_calls_per_second = models.PositiveIntegerField(
        _("calls per second"),
        null=True,
        blank=True,
        default=10,
        help_text=_("Calls accepted within any one second. Leave empty for no limit."),
    )
    max_spend_per_day = models.DecimalField(
        _("maximum spend per day"),
        max_digits=15,
        decimal_places=3,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text=_(
            "Charges of the day plus the amount held for live calls. The day begins at midnight in "
            "the service's time zone. Leave empty for no limit."
        ),
    )
    max_duration = models.PositiveIntegerField(
        _("maximum duration"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Seconds per call. Leave empty for the service's maximum."),
    )
    internal_numbers = models.BooleanField(
        _("may call from internal numbers"),
        default=False,
        help_text=_(
            "Accepts 2 to 6 digits as the caller’s phone, such as an extension of the customer’s "
            "PBX. The provider needs a gateway, and the price list a rate, for internal numbers."
        ),
    )
    low_balance_at = models.DecimalField(
        _("low balance"),
        max_digits=15,
        decimal_places=3,
        null=True,
        blank=True,
        help_text=_(
            "The contacts get one e-mail when the balance falls below this amount. Below 0 is "
            "possible. Leave empty for no e-mail."
        ),
    )
    contact_emails = models.CharField(
        _("contact e-mail"),
        max_length=500,
        blank=True,
        validators=[validate_emails],
        help_text=_("Separate several addresses with commas."),
    )
    language = models.CharField(
        _("language"),
        max_length=15,
        blank=True,
        help_text=_(
            "The language of e-mails to the contacts. Leave empty for the service's language."
        ),
    )
    low_balance_since = models.DateTimeField(_("balance low since"), null=True, editable=False)
    low_balance_mail_due_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=DatabaseNow(), editable=False)

    locked_at: datetime  # by the database's clock; set by `ledger.lock`

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(held__gte=0), name="poketalk_server_held_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(credit_limit__gte=0), name="poketalk_server_credit_not_negative"
            ),
            models.CheckConstraint(
                # Rounded: SQLite computes with floats and would refuse the last thousandth.
                condition=GreaterThanOrEqual(
                    Round(F("balance") + F("credit_limit") - F("held"), 3), Value(Decimal(0))
                ),
                name="poketalk_server_within_credit",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, **options: Any) -> None:
        """Save the account. An update leaves out the money and the state of the warning, so that a
        stale copy does not undo a change by the ledger.
        """
        if not self._state.adding and options.get("update_fields") is None:
            options["update_fields"] = [
                field.name
                for field in self._meta.concrete_fields
                if not field.primary_key and field.name not in (*MONEY, *WARNING)
            ]
        super().save(**options)

    def clean(self) -> None:
        """`ValidationError` if the price list is in another currency."""
        super().clean()
        if self.price_list is not None and self.price_list.currency != self.currency:
            raise ValidationError(
                {
                    "price_list": ValidationError(
                        _("Prices of this list are in %(theirs)s, the account is in %(ours)s."),
                        params={"theirs": self.price_list.currency, "ours": self.currency},
                    )
                }
            )

    @property
    def funds(self) -> Decimal:
        """The money available: balance plus credit limit minus the holds of live calls."""
        return self.balance + self.credit_limit - self.held

    @property
    def is_low(self) -> bool:
        """Whether the balance is below `low_balance_at`. Holds and the credit limit do not count:
        holds come and go with each call.
        """
        return self.low_balance_at is not None and self.balance < self.low_balance_at

    @property
    def contacts(self) -> list[str]:
        """The contacts' e-mail addresses."""
        return [address.strip() for address in self.contact_emails.split(",") if address.strip()]

    def charged(self, today: date) -> Decimal:
        """The amount charged today. If the database's clock is set back, the later day counts."""
        return self.spent if self.spent_on is not None and self.spent_on >= today else Decimal(0)

    def spendable(self, today: date) -> Decimal:
        """The amount that calls can still hold: the funds, up to the rest of the day's limit.
        Negative if the limit was lowered.
        """
        if self.max_spend_per_day is None:
            return self.funds
        return min(self.funds, self.max_spend_per_day - self.charged(today) - self.held)

    def allows(self, address: str) -> bool:
        """Whether the account may use the service from this IP address ("" if it is unknown)."""
        try:
            client = ipaddress.ip_address(address)
        except ValueError:
            return False
        allowed = self.addresses.values_list("network", flat=True)
        return any(client in ipaddress.ip_network(network) for network in allowed)


def _use_is_due() -> Q:
    """Whether a key's last use was stored long ago."""
    return Q(last_used_at=None) | Q(last_used_at__lt=DatabaseNow() - USE_INTERVAL)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Keys by whether they may be used."""

    def usable(self) -> ApiKeyQuerySet:
        """Neither revoked nor expired."""
        not_expired = Q(expires_at=None) | Q(expires_at__gt=DatabaseNow())
        return self.filter(not_expired, revoked_at=None)

    def revoke(self) -> int:
        """Revoke those that are not, at the database's time, for good. Returns their number."""
        return self.filter(revoked_at=None).update(revoked_at=DatabaseNow())


class ApiKey(models.Model):
    """An account's API key. Only its first characters and its SHA-256 hash are stored. An account
    may have several, for rotation. `last_used_at` is up to a minute older than the last use.
    """

    account = models.ForeignKey(
        Account, verbose_name=_("account"), on_delete=models.CASCADE, related_name="keys"
    )
    label = models.CharField(_("label"), max_length=100, blank=True)
    prefix = models.CharField(_("begins with"), max_length=8, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=DatabaseNow(), editable=False)
    expires_at = models.DateTimeField(
        _("expires"),
        null=True,
        blank=True,
        help_text=_("Leave empty for a key that does not expire."),
    )
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    last_used_from = models.GenericIPAddressField(_("last used from"), null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["account", "-id"]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @classmethod
    @sensitive_variables()
    def issue(
        cls, account: Account, label: str = "", expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Create a key. Returns the row and the key itself, which is not stored."""
        secret = secrets.token_urlsafe(32)
        return cls.objects.create(
            account=account,
            label=label,
            prefix=secret[:8],
            digest=cls.digest_of(secret),
            expires_at=expires_at,
        ), secret

    @classmethod
    def find(cls, secret: str) -> ApiKey | None:
        """The key if it may be used and its account is active, with account and provider."""
        return (
            cls.objects.usable()
            .select_related("account__provider")
            .filter(digest=cls.digest_of(secret), account__is_active=True)
            .annotate(is_use_due=models.ExpressionWrapper(_use_is_due(), models.BooleanField()))
            .first()
        )

    def record_use(self, address: str) -> None:
        """Store when and from which IP address it is used, once in `USE_INTERVAL`: of simultaneous
        requests, one writes.
        """
        if getattr(self, "is_use_due", True):  # set by `find`
            ApiKey.objects.filter(_use_is_due(), pk=self.pk).update(
                last_used_at=DatabaseNow(), last_used_from=address
            )

    @staticmethod
    def digest_of(secret: str) -> str:
        """SHA-256, hexadecimal. Keys are 256 random bits, so no salt or slow hash is needed."""
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class AllowedAddress(models.Model):
    """An address or network (CIDR) from which an account may use the service. An account without
    one cannot use it.
    """

    account = models.ForeignKey(
        Account, verbose_name=_("account"), on_delete=models.CASCADE, related_name="addresses"
    )
    network = models.CharField(
        _("address or network"), max_length=49, help_text=_("Such as 203.0.113.7 or 2001:db8::/32.")
    )

    class Meta:
        verbose_name = _("allowed address")
        verbose_name_plural = _("allowed addresses")
        ordering = ["account", "network"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "network"], name="poketalk_server_address_once"
            ),
        ]

    def __str__(self) -> str:
        return self.network

    def save(self, **options: Any) -> None:
        self.clean()
        super().save(**options)

    def clean(self) -> None:
        """Write the network in canonical form. IPv4-mapped IPv6 becomes IPv4, as clients' addresses
        do.
        """
        super().clean()
        try:
            network = ipaddress.ip_network(self.network.strip(), strict=False)
        except ValueError as error:
            raise ValidationError({"network": _("Enter an IP address or network.")}) from error
        if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(MAPPED_IPV4):
            mapped = int(network.network_address) & 0xFFFF_FFFF
            self.network = str(
                ipaddress.IPv4Network((mapped, network.prefixlen - MAPPED_IPV4.prefixlen))
            )
        else:
            self.network = str(network)
