"""The ledger: every change of a balance."""

from __future__ import annotations

from typing import Any

from django.conf import settings as project
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .accounts import Account
from .calls import Call, Side

APPEND_ONLY = "Ledger entries are append-only. Correct the balance with an adjustment."


class LedgerEntry(models.Model):
    """One change of an account's balance. Append-only; the sum of an account's entries is its
    balance. Only `billing.ledger` writes it.
    """

    class Kind(models.TextChoices):
        TOP_UP = "top_up", _("top-up")
        ADJUSTMENT = "adjustment", _("adjustment")
        CHARGE = "charge", _("call charge")

    account = models.ForeignKey(
        Account,
        verbose_name=_("account"),
        on_delete=models.PROTECT,
        related_name="entries",
        db_index=False,
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    amount = models.DecimalField(
        _("amount"), max_digits=15, decimal_places=3, help_text=_("Positive amounts are credits.")
    )
    balance = models.DecimalField(_("balance after"), max_digits=15, decimal_places=3)
    call = models.ForeignKey(
        Call,
        verbose_name=_("call"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="entries",
        db_index=False,
    )
    side = models.CharField(_("leg"), max_length=1, choices=Side.choices, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    created_by = models.ForeignKey(
        project.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    idempotency_key = models.CharField(
        max_length=32, null=True, blank=True, unique=True, editable=False
    )

    repeated = False  # whether an earlier call with the same key booked it

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        ordering = ["-id"]
        default_permissions = ("add", "view")
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind="charge")
                | Q(call__isnull=False, side__in=["A", "B"], amount__lt=0),
                name="poketalk_server_charge_is_a_legs",
            ),
            models.CheckConstraint(
                condition=~Q(kind="top_up") | Q(amount__gt=0),
                name="poketalk_server_top_up_positive",
            ),
            # Only for charges: other entries have no call, and nulls are distinct.
            models.UniqueConstraint(
                fields=["call", "side", "kind"], name="poketalk_server_charged_once"
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], name="poketalk_server_entries"),
            models.Index(fields=["account", "created_at"], name="poketalk_server_statement"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"

    def save(self, **options: Any) -> None:
        """Insert the entry. `TypeError` for an existing one."""
        if not self._state.adding:
            raise TypeError(APPEND_ONLY)
        super().save(**options)

    def delete(self, using: Any = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        raise TypeError(APPEND_ONLY)
