"""The ledger: every change of a balance."""

from __future__ import annotations

from typing import Any

from django.conf import settings as project
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..database.clock import DatabaseNow
from .accounts import Account
from .calls import Call, Side
from .deletion import protect

APPEND_ONLY = "Ledger entries are append-only. To correct a balance, reverse an entry or adjust()."
IS_NO_CHARGE = ~Q(kind="charge")  # nearly all entries are charges, which have no note


class LedgerEntry(models.Model):
    """One change of an account's balance. Append-only; the sum of an account's entries is its
    balance. Only `billing.ledger` writes it.
    """

    class Kind(models.TextChoices):
        TOP_UP = "top_up", _("top-up")
        ADJUSTMENT = "adjustment", _("adjustment")
        CHARGE = "charge", _("call charge")
        REVERSAL = "reversal", _("reversal")

    account = models.ForeignKey(
        Account,
        verbose_name=_("account"),
        on_delete=protect,
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
        on_delete=protect,
        null=True,
        blank=True,
        related_name="entries",
        db_index=False,
    )
    side = models.CharField(_("leg"), max_length=1, choices=Side.choices, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    reverses = models.OneToOneField(
        "self",
        verbose_name=_("reverses"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reversal",
        help_text=_("The entry that this one undoes, with its reason as the note."),
    )
    created_at = models.DateTimeField(_("created"), db_default=DatabaseNow())
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
        permissions = [("reverse_ledgerentry", "Can reverse ledger entries")]
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
            models.CheckConstraint(
                condition=Q(kind="reversal", reverses__isnull=False) & ~Q(note="")
                | ~Q(kind="reversal") & Q(reverses__isnull=True),
                name="poketalk_server_reversal_of_one",
            ),
            # Only for charges and their reversals: others have no call, and nulls are distinct.
            models.UniqueConstraint(
                fields=["call", "side", "kind"], name="poketalk_server_charged_once"
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], name="poketalk_server_entries"),
            # With all that a statement sums up, so that it does not read the rows. MariaDB, which
            # has no index of some rows, uses it also instead of the next.
            models.Index(
                fields=["account", "created_at", "id", "kind", "amount"],
                name="poketalk_server_sums",
            ),
            models.Index(
                fields=["account", "created_at"],
                name="poketalk_server_no_charges",
                condition=IS_NO_CHARGE,
            ),
            models.Index(
                fields=["kind", "-id"], name="poketalk_server_kinds", condition=IS_NO_CHARGE
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount}"

    def save(self, **options: Any) -> None:
        """Insert the entry. `TypeError` for an existing one."""
        if not self._state.adding:
            raise TypeError(APPEND_ONLY)
        super().save(**options)

    def delete(self, using: Any = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        raise TypeError(APPEND_ONLY)

    @property
    def reversed_by(self) -> LedgerEntry | None:
        """The entry that reverses this one, if there is one."""
        found: LedgerEntry | None = getattr(self, "reversal", None)
        return found
