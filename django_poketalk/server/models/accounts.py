"""Accounts with their money, API keys and allowed addresses, and the service's blacklist."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Round
from django.db.models.lookups import GreaterThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from django_poketalk.protocol import numbers
from django_poketalk.shared.number_errors import explain
from django_poketalk.shared.number_names import NamedByNumbers

from .routes import ServiceProvider

MONEY = ("balance", "held", "spent_on", "spent")  # only `ledger` writes these
MAPPED_IPV4 = ipaddress.IPv6Network("::ffff:0:0/96")


class Account(models.Model):
    """A customer. Only `ledger` writes `balance`, `held`, `spent_on` and `spent`.

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
    is_active = models.BooleanField(_("active"), default=True)
    currency = models.CharField(_("currency"), max_length=3, default="EUR")
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
    max_live_calls = models.PositiveIntegerField(
        _("maximum live calls"), null=True, blank=True, help_text=_("Leave empty for no limit.")
    )
    max_calls_per_second = models.PositiveIntegerField(
        _("calls per second"),
        null=True,
        blank=True,
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
            "PBX. The provider needs a gateway and a rate for internal numbers."
        ),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

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
        """Save the account. An update leaves out the money, so that a stale copy does not undo a
        change by the ledger.
        """
        if not self._state.adding and options.get("update_fields") is None:
            options["update_fields"] = [
                field.name
                for field in self._meta.concrete_fields
                if not field.primary_key and field.name not in MONEY
            ]
        super().save(**options)

    @property
    def funds(self) -> Decimal:
        """The money available: balance plus credit limit minus the holds of live calls."""
        return self.balance + self.credit_limit - self.held

    def charged(self, today: date) -> Decimal:
        """The amount charged today. A host with a slow clock still uses the later day."""
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


class ApiKey(models.Model):
    """An account's API key. Only its first characters and its SHA-256 hash are stored. An account
    may have several, for rotation.
    """

    account = models.ForeignKey(
        Account, verbose_name=_("account"), on_delete=models.CASCADE, related_name="keys"
    )
    label = models.CharField(_("label"), max_length=100, blank=True)
    prefix = models.CharField(_("begins with"), max_length=8, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["account", "-id"]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @classmethod
    @sensitive_variables()
    def issue(cls, account: Account, label: str = "") -> tuple[ApiKey, str]:
        """Create a key. Returns the row and the key itself, which is not stored."""
        secret = secrets.token_urlsafe(32)
        return cls.objects.create(
            account=account, label=label, prefix=secret[:8], digest=cls.digest_of(secret)
        ), secret

    @classmethod
    def find(cls, secret: str) -> ApiKey | None:
        """The key if it is not revoked and its account is active, with account and provider."""
        return (
            cls.objects.select_related("account__provider")
            .filter(digest=cls.digest_of(secret), account__is_active=True)
            .filter(Q(revoked_at=None) | Q(revoked_at__gt=timezone.now()))
            .first()
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


class BlacklistedNumber(NamedByNumbers):
    """A number or prefix that neither leg may have, for one account or (None) for all."""

    account = models.ForeignKey(
        Account,
        verbose_name=_("account"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="blacklist",
        help_text=_("Leave empty for all accounts."),
    )
    number = models.CharField(
        _("number or prefix"),
        max_length=32,
        help_text=_("With country code. An extension is ignored."),
    )
    is_prefix = models.BooleanField(
        _("prefix: block all numbers that begin with it"), default=False
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("blacklisted number")
        verbose_name_plural = _("blacklisted numbers")
        ordering = ["number"]
        indexes = [models.Index(fields=["number"], name="poketalk_server_blacklist")]

    def name_with(self, number: Callable[[str], str]) -> str:
        return f"{self.number}…" if self.is_prefix else number(self.number)

    def save(self, **options: Any) -> None:
        """Save in the form that `matches` looks up."""
        self.clean()
        super().save(**options)

    def clean(self) -> None:
        """Write the number as digits, as on the wire, without an extension."""
        super().clean()
        try:
            if self.is_prefix:
                self.number = numbers.wire(numbers.normalize_prefix(self.number))
            else:
                self.number = numbers.wire(numbers.read(self.number).e164)
        except numbers.InvalidNumber as error:
            raise ValidationError({"number": explain(error)}) from error

    @classmethod
    def matches(cls, account: Account, *wire_numbers: str) -> bool:
        """Whether any of these numbers, digits without trunk zero, is blacklisted for it.

        Entries are international numbers, so they match no internal number.
        """
        wire_numbers = tuple(each for each in wire_numbers if not numbers.is_internal(each))
        prefixes = {
            number[:length] for number in wire_numbers for length in range(1, len(number) + 1)
        }
        return (
            cls.objects.filter(Q(account=None) | Q(account=account))
            .filter(
                Q(number__in=wire_numbers, is_prefix=False) | Q(number__in=prefixes, is_prefix=True)
            )
            .exists()
        )
