"""The last import of each rate deck."""

from __future__ import annotations

from django.conf import settings as project
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .gateways import Gateway
from .price_lists import PriceList


class DeckImport(models.Model):
    """The last import of a price list's rates, or of a gateway's buy rates, so that it can be
    undone. `changes` has each rate's key and its values before and after, as JSON.
    """

    price_list = models.OneToOneField(
        PriceList,
        verbose_name=_("price list"),
        on_delete=models.CASCADE,
        related_name="last_import",
        null=True,
    )
    gateway = models.OneToOneField(
        Gateway,
        verbose_name=_("gateway"),
        on_delete=models.CASCADE,
        related_name="last_import",
        null=True,
    )
    changes = models.TextField(editable=False)
    new = models.PositiveIntegerField(_("new"), default=0)
    changed = models.PositiveIntegerField(_("changed"), default=0)
    deleted = models.PositiveIntegerField(_("deleted"), default=0)
    imported_at = models.DateTimeField(_("imported"))
    imported_by = models.ForeignKey(
        project.AUTH_USER_MODEL,
        verbose_name=_("imported by"),
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )

    class Meta:
        verbose_name = _("import of rates")
        verbose_name_plural = _("imports of rates")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(price_list=None, gateway__isnull=False)
                | Q(price_list__isnull=False, gateway=None),
                name="poketalk_server_deck_import_of_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.owner}, {self.version}"

    @property
    def owner(self) -> PriceList | Gateway:
        """Whose rates they are."""
        return self.price_list or self.gateway  # type: ignore[return-value]  # it has one of them

    @property
    def version(self) -> str:
        """Tells the import from the owner's others."""
        return self.imported_at.isoformat()
