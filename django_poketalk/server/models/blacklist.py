"""The service's blacklist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared.number_errors import explain
from django_poketalk.shared.number_names import NamedByNumbers, may_be_a_number

from ..database.clock import DatabaseNow
from .accounts import Account


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
    created_at = models.DateTimeField(_("created"), db_default=DatabaseNow(), editable=False)

    class Meta:
        verbose_name = _("service blacklist entry")
        verbose_name_plural = _("service blacklist")
        ordering = ["number"]
        indexes = [models.Index(fields=["number"], name="poketalk_server_blacklist")]

    def name_with(self, number: Callable[[str], str]) -> str:
        if not self.is_prefix:
            return number(self.number)
        return f"{number(self.number) if may_be_a_number(self.number) else self.number}…"

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
    def matches(cls, account: Account | None, *wire_numbers: str) -> bool:
        """Whether any of these numbers, digits without trunk zero, is blacklisted for it, or for
        all accounts if it is None.

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
