"""Price lists: what accounts pay."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from .currencies import validate_currency


class PriceList(models.Model):
    """Rates by prefix, in one currency, for any number of accounts. Carriers are apart from it:
    accounts of one provider may pay different prices.
    """

    name = models.CharField(_("name"), max_length=150, unique=True)
    currency = models.CharField(
        _("currency"),
        max_length=3,
        default="EUR",
        validators=[validate_currency],
        help_text=_("A code of ISO 4217, such as EUR or USD."),
    )

    class Meta:
        verbose_name = _("price list")
        verbose_name_plural = _("price lists")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """`ValidationError` if accounts in another currency use it."""
        super().clean()
        if self.pk and self.accounts.exclude(currency=self.currency).exists():
            raise ValidationError({"currency": _("Accounts in another currency use this list.")})
