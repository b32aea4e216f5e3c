"""Blacklisted numbers, and the validation of stored numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings as project
from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..protocol import numbers
from ..shared.compiled import CompiledQuery
from ..shared.number_errors import explain
from ..shared.number_names import NamedByNumbers, may_be_a_number
from .primary import PrimaryQuerySet

NUMBER_LENGTH = 16  # "+" and at most 15 digits (E.164)
REASON_LENGTH = 200


def validate_number(value: str) -> None:
    """Accept only E.164 as it is stored: "+" and digits."""
    try:
        normal = numbers.normalize(value)
    except numbers.InvalidNumber as error:
        raise ValidationError(explain(error), code="number_invalid") from error
    if normal != value:
        raise ValidationError(
            _("Enter the number as %(number)s."), code="number_not_e164", params={"number": normal}
        )


class BlacklistedNumber(NamedByNumbers):
    """A number or prefix that may not call (`from`), may not be called (`to`), or both."""

    class Direction(models.TextChoices):
        FROM = "from", _("as caller")
        TO = "to", _("as callee")
        BOTH = "both", _("both")

    number = models.CharField(
        _("number or prefix"),
        max_length=NUMBER_LENGTH,
        help_text=_("With + and country code, such as +4420. An extension is ignored."),
    )
    is_prefix = models.BooleanField(_("block all numbers that begin with it"), default=False)
    direction = models.CharField(
        _("direction"), max_length=4, choices=Direction.choices, default=Direction.BOTH
    )
    reason = models.CharField(_("reason"), max_length=REASON_LENGTH, blank=True)
    until = models.DateTimeField(
        _("until"), null=True, blank=True, help_text=_("Leave empty to block it permanently.")
    )
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

    objects = PrimaryQuerySet.as_manager()

    class Meta:
        verbose_name = _("blacklisted number")
        verbose_name_plural = _("blacklisted numbers")
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["number", "is_prefix", "direction"], name="poketalk_blacklisted_once"
            ),
        ]

    def name_with(self, number: Callable[[str], str]) -> str:
        name = number(self.number) if self.needs_masking else self.number
        return f"{name}…" if self.is_prefix else name

    @property
    def needs_masking(self) -> bool:
        """Whether it can be somebody's number. A short prefix cannot."""
        return not self.is_prefix or may_be_a_number(self.number)

    def clean(self) -> None:
        """Convert the number to E.164, without an extension. A prefix requires "+" and a digit."""
        super().clean()
        if not self.number:  # the field has already reported this
            return
        try:
            self.number = (
                numbers.normalize_prefix(self.number)
                if self.is_prefix
                else numbers.read(self.number).e164
            )
        except numbers.InvalidNumber as error:
            raise ValidationError({"number": explain(error)}) from error

    def is_in_force(self, now: datetime) -> bool:
        """Whether the entry applies at this time, because it has not expired."""
        return self.until is None or self.until > now

    def forbids(self, number: str, direction: Direction) -> bool:
        """Whether the entry is for this E.164 number in this direction. It may have expired."""
        if self.direction not in (direction, self.Direction.BOTH):
            return False
        return number.startswith(self.number) if self.is_prefix else number == self.number

    @classmethod
    def matching(
        cls, number: str, direction: Direction, now: datetime, by_prefix: bool = True
    ) -> BlacklistedNumber | None:
        """The entry that forbids this E.164 number in this direction now, or None.

        Pass `by_prefix=False` for a number that is masked: prefixes would tell its digits.
        """
        return cls.matching_each([(number, direction)], now, by_prefix)[0]

    @classmethod
    def matching_each(
        cls, parties: Sequence[tuple[str, Direction]], now: datetime, by_prefix: bool = True
    ) -> list[BlacklistedNumber | None]:
        """The result of `matching` for each number and direction, with one query."""
        using = router.db_for_write(cls)  # replicas lag behind
        beginnings = {number[:end] for number, _way in parties for end in range(2, len(number) + 1)}
        found = [
            entry
            for entry in _IN_FORCE.instances(sorted(beginnings), now, using=using)
            if by_prefix or not entry.is_prefix
        ]
        return [
            next((entry for entry in found if entry.forbids(number, direction)), None)
            for number, direction in parties
        ]

    @classmethod
    def block(
        cls,
        number: str,
        direction: Direction,
        reason: str,
        user: Any,
        by_prefix: bool = True,
    ) -> BlacklistedNumber | None:
        """Blacklist this E.164 number in this direction permanently. Returns None if it already is,
        as in `matching`.

        An expired entry for the same number is renewed.
        """
        with transaction.atomic():
            if cls.matching(number, direction, timezone.now(), by_prefix):
                return None
            entry, _made = cls.objects.update_or_create(
                number=number,
                is_prefix=False,
                direction=direction,
                defaults={
                    "reason": reason,
                    "until": None,
                    "created_by": user,
                    "created_at": timezone.now(),
                },
            )
        return entry


_IN_FORCE = CompiledQuery(
    lambda numbers, now: (
        BlacklistedNumber.objects.filter(number__in=numbers)
        .filter(Q(until=None) | Q(until__gt=now))
        .order_by("number", "id")
    )
)
