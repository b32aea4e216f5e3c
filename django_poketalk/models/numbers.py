"""Numbers with a meaning of their own: those that may not be used, and each user's own phone."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings as project
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..protocol import numbers

NUMBER_LENGTH = 16  # "+" and at most 15 digits (E.164)


def validate_number(value: str) -> None:
    """Accept E.164 as it is stored, "+" and digits."""
    try:
        normal = numbers.normalise(value)
    except numbers.InvalidNumber as error:
        raise ValidationError(str(error), code="number_invalid") from error
    if normal != value:
        raise ValidationError(
            _("Write the number as %(number)s."), code="number_not_e164", params={"number": normal}
        )


class BlacklistedNumber(models.Model):
    """A number, or a range of numbers by prefix, that may not call (`from`), be called (`to`), or
    either.
    """

    class Direction(models.TextChoices):
        FROM = "from", _("as caller")
        TO = "to", _("as callee")
        BOTH = "both", _("either way")

    number = models.CharField(
        _("number or prefix"),
        max_length=NUMBER_LENGTH,
        help_text=_("With + and country code, e.g. +4420."),
    )
    is_prefix = models.BooleanField(_("all numbers that begin so"), default=False)
    direction = models.CharField(
        _("direction"), max_length=4, choices=Direction.choices, default=Direction.BOTH
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    until = models.DateTimeField(_("until"), null=True, blank=True, help_text=_("Empty: for good."))
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        project.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )

    class Meta:
        verbose_name = _("blacklisted number")
        verbose_name_plural = _("blacklist")
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["number", "is_prefix", "direction"], name="poketalk_blacklisted_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}…" if self.is_prefix else numbers.mask(self.number)

    def clean(self) -> None:
        """Store E.164, however the number was written; a prefix needs "+" and a digit."""
        super().clean()
        try:
            self.number = (
                numbers.normalise_prefix(self.number)
                if self.is_prefix
                else numbers.normalise(self.number)
            )
        except numbers.InvalidNumber as error:
            raise ValidationError({"number": str(error)}) from error

    @classmethod
    def matching(cls, number: str, direction: Direction, now: datetime) -> BlacklistedNumber | None:
        """The entry that forbids this E.164 number in this direction now, or None."""
        prefixes = [number[:length] for length in range(2, len(number) + 1)]
        return (
            cls.objects.filter(direction__in=[direction, cls.Direction.BOTH])
            .filter(Q(number=number, is_prefix=False) | Q(number__in=prefixes, is_prefix=True))
            .filter(Q(until=None) | Q(until__gt=now))
            .first()
        )


class CallerNumber(models.Model):
    """A user's own phone: leg A of the calls that the user places."""

    user = models.OneToOneField(
        project.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="poketalk_number",
    )
    number = models.CharField(
        _("number"), max_length=NUMBER_LENGTH, help_text=_("With + and country code.")
    )

    class Meta:
        verbose_name = _("caller's number")
        verbose_name_plural = _("callers' numbers")

    def __str__(self) -> str:
        return numbers.mask(self.number)

    def clean(self) -> None:
        """Store E.164, however the number was written."""
        super().clean()
        try:
            self.number = numbers.normalise(self.number)
        except numbers.InvalidNumber as error:
            raise ValidationError({"number": str(error)}) from error
