"""The numbers that accounts may present as caller ID."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared.number_errors import explain
from django_poketalk.shared.number_names import NamedByNumbers

from ..database.clock import DatabaseNow
from .accounts import Account


class PresentedNumber(NamedByNumbers):
    """A number of an account that the callee's phone may display, once it is verified.

    A call chooses one with the form field `x_caller_id`. Calls that choose none present the
    account's default, if there is one.
    """

    account = models.ForeignKey(
        Account,
        verbose_name=_("account"),
        on_delete=models.CASCADE,
        related_name="presented_numbers",
    )
    number = models.CharField(_("number"), max_length=32, help_text=_("With country code."))
    label = models.CharField(_("label"), max_length=100, blank=True)
    verified_at = models.DateTimeField(
        _("verified"),
        null=True,
        blank=True,
        help_text=_(
            "When you made sure that the number belongs to the customer. Calls present only "
            "verified numbers."
        ),
    )
    is_default = models.BooleanField(
        _("default"), default=False, help_text=_("For calls that choose no number.")
    )
    created_at = models.DateTimeField(_("created"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("presented number")
        verbose_name_plural = _("presented numbers")
        ordering = ["account", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "number"], name="poketalk_server_presented_once"
            ),
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(is_default=True),
                name="poketalk_server_one_default",
            ),
        ]

    def name_with(self, number: Callable[[str], str]) -> str:
        return f"{number(self.number)} {self.label}".strip()

    def save(self, **options: Any) -> None:
        """Save as digits. A new default replaces the account's former one."""
        self.clean()
        with transaction.atomic():
            if self.is_default:  # the lock leaves one, also where databases ignore the condition
                Account.objects.select_for_update().get(pk=self.account_id)
                others = PresentedNumber.objects.filter(account=self.account_id, is_default=True)
                others.exclude(pk=self.pk).update(is_default=False)
            super().save(**options)

    def validate_constraints(self, exclude: Any = None) -> None:
        """Check the constraints but for the default, which `save` sees to."""
        super().validate_constraints({*(exclude or ()), "is_default"})

    def clean(self) -> None:
        """Write the number as digits, as on the wire."""
        super().clean()
        try:
            self.number = numbers.wire(numbers.normalize(self.number))
        except numbers.InvalidNumber as error:
            raise ValidationError({"number": explain(error)}) from error

    @classmethod
    def choose(cls, account: Account, number: str) -> PresentedNumber | None:
        """The account's verified number that is written so, or its default for ""; else None."""
        wanted = Q(number=number) if number else Q(is_default=True)
        return cls.objects.filter(wanted, account=account, verified_at__isnull=False).first()
