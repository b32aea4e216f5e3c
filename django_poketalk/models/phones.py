"""The users' own phones, one of which rings first in each call, and their verification codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings as project
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from ..conf import settings
from ..protocol import numbers
from ..shared.number_errors import explain
from ..shared.number_names import NamedByNumbers
from .numbers import NUMBER_LENGTH
from .primary import PrimaryQuerySet

LABEL_LENGTH = 40
MOST_PHONES = 20  # of one user, in the pages and the API


def is_allowed_internal(number: str) -> bool:
    """Whether this is an internal number that `INTERNAL_NUMBERS` allows. Emergency numbers, also
    those of `DEFAULT_REGION`, never are.
    """
    pattern = settings.internal_numbers
    if not pattern or not numbers.is_internal(number):
        return False
    if numbers.is_emergency(number, settings.default_region):
        return False
    try:
        return re.fullmatch(pattern, number) is not None
    except re.error as error:
        raise ImproperlyConfigured(f"POKETALK['INTERNAL_NUMBERS']: {error}") from error


def are_stored_here() -> bool:
    """Whether the users' phones are in the table of `Phone`, and not in the project's own."""
    return settings.user_phones is None


def users_keep_their_own() -> bool:
    """Whether users may add, change and remove their own phones."""
    return settings.phones_page and are_stored_here()


@contextmanager
def one_change_at_a_time(user_id: Any) -> Iterator[None]:
    """A transaction that waits for other changes of this user's phones, and lets them wait."""
    with transaction.atomic():
        get_user_model()._default_manager.select_for_update().filter(pk=user_id).first()
        yield


def read_phone(value: Any) -> str:
    """The number of a caller's phone as it is stored: E.164, or the digits of an internal number
    that is allowed. Raises `InvalidNumber`.
    """
    digits = numbers.clean(numbers.as_text(value)).strip()
    if is_allowed_internal(digits):
        return digits
    return numbers.normalize(value, settings.default_region)


def validate_phone(value: str) -> None:
    """Accept only what `read_phone` returns."""
    try:
        number = read_phone(value)
    except numbers.InvalidNumber as error:
        raise ValidationError(explain(error), code="number_invalid") from error
    if number != value:
        raise ValidationError(
            _("Enter the number as %(number)s."), code="number_not_e164", params={"number": number}
        )


class PhoneManager(models.Manager["Phone"]):
    """Finds a user's phones."""

    def get_queryset(self) -> PrimaryQuerySet[Phone]:
        return PrimaryQuerySet(self.model, using=self._db)

    def for_user(self, user: Any) -> list[Phone]:
        """The user's phones, the default one first and marked so. Empty for an unsaved user.

        They are those of this table, or those that the function in `USER_PHONES` returns, unsaved.
        The number of such a phone is as the function gave it if it cannot be read.
        """
        if user is None or user.pk is None:
            return []
        if settings.user_phones is None:
            return _default_first(list(self.filter(user_id=user.pk).order_by("pk")))
        given = import_string(settings.user_phones)(user) or ()
        found = (_unsaved(user, each) for each in given)
        return _default_first([phone for phone in found if phone.number])


class Phone(NamedByNumbers):
    """A user's own phone, which is leg A of the user's calls: a number (E.164), or an internal
    number of 2 to 6 digits that only the service's PBX knows.

    The first phone of a user becomes the default one, and so does the oldest one that is left when
    the default phone is deleted. `verified_at` is cleared by `save` when the number or the user
    changes.
    """

    user = models.ForeignKey(
        project.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="poketalk_phones",
    )
    label = models.CharField(
        _("label"), max_length=LABEL_LENGTH, blank=True, help_text=_("Such as desk or mobile.")
    )
    number = models.CharField(
        _("number"), max_length=NUMBER_LENGTH, help_text=_("With + and country code.")
    )
    # True or null: two nulls are not equal, so that databases without conditional constraints
    # allow one default phone for each user too.
    is_default = models.BooleanField(_("default"), null=True, default=None)
    verified_at = models.DateTimeField(_("verified"), null=True, blank=True, editable=False)

    objects = PhoneManager()

    class Meta:
        verbose_name = _("phone")
        verbose_name_plural = _("phones")
        ordering = ["user", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "is_default"], name="poketalk_one_default_phone"
            ),
            models.CheckConstraint(
                condition=Q(is_default=None) | Q(is_default=True), name="poketalk_default_or_null"
            ),
            models.UniqueConstraint(
                fields=["user", "number"],
                name="poketalk_phone_once",
                violation_error_message=_("This user already has a phone with this number."),
            ),
        ]
        permissions = [
            ("choose_caller_phone", "Can choose another user's phone to ring first"),
            ("verify_phone", "Can verify the phones of users"),
        ]

    def save(self, **options: Any) -> None:
        """Save the phone. See the class for what else changes."""
        with one_change_at_a_time(self.user_id):  # so that there is always one default phone
            changed = options.get("update_fields")
            if not self._state.adding and (
                changed is None or {"number", "user", "user_id"} & {*changed}
            ):
                self._forget_verification(options)
            others = Phone.objects.filter(user_id=self.user_id, is_default=True).exclude(pk=self.pk)
            if not self.is_default:
                is_first = self._state.adding and not others.exists()
                self.is_default = True if is_first else None
            elif changed is None or "is_default" in changed:
                self.is_default = True
                others.update(is_default=None)
            super().save(**options)

    def clean(self) -> None:
        """Convert the number to the form in which it is stored."""
        super().clean()
        if not self.number:  # the field has already reported this
            return
        try:
            self.number = read_phone(self.number)
        except numbers.InvalidNumber as error:
            raise ValidationError({"number": explain(error)}) from error

    def validate_constraints(self, exclude: Any = None) -> None:
        """Check the constraints but for the default phone, which `save` sees to."""
        super().validate_constraints({*(exclude or ()), "is_default"})

    def name_with(self, number: Callable[[str], str]) -> str:
        shown = number(self.number)
        return f"{self.label} ({shown})" if self.label else shown

    @property
    def display(self) -> str:
        """The whole number in groups, or an internal number as it is."""
        return numbers.display(self.number)

    @property
    def name(self) -> str:
        """The label and the whole number, as its user sees it."""
        return f"{self.label} {self.display}" if self.label else self.display

    @property
    def is_verified(self) -> bool:
        return self.verified_at is not None

    @property
    def may_ring(self) -> bool:
        """Whether it may be the caller's phone: verified, if the site requires that."""
        return settings.verify_phones is None or self.is_verified

    def verify(self, now: datetime) -> bool:
        """Mark it as verified. False if its number has changed meanwhile, or if it is verified."""
        same = Phone.objects.filter(pk=self.pk, user_id=self.user_id, number=self.number)
        if not same.filter(verified_at=None).update(verified_at=now):
            return False
        self.verified_at = now
        return True

    def make_default(self) -> None:
        """Make it the default phone of its user, instead of the present one."""
        self.is_default = True
        self.save(update_fields=["is_default"])

    def _forget_verification(self, options: dict[str, Any]) -> None:
        stored = Phone.objects.filter(pk=self.pk).values_list("user_id", "number").first()
        if stored in (None, (self.user_id, self.number)):
            return
        self.verified_at = None
        if options.get("update_fields") is not None:
            options["update_fields"] = {*options["update_fields"], "verified_at"}


class VerificationCode(models.Model):
    """A code that was sent to a phone. Only its digest is stored.

    It is kept for an hour, also if its phone is deleted, because codes are counted for each user
    and each number. `attempts` counts the codes that were entered.
    """

    user = models.ForeignKey(
        project.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    number = models.CharField(max_length=NUMBER_LENGTH)
    digest = models.CharField(max_length=64)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    objects = PrimaryQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["user", "created_at"], name="poketalk_codes_by_user"),
            models.Index(fields=["number", "created_at"], name="poketalk_codes_by_number"),
        ]

    def __str__(self) -> str:
        return numbers.mask(self.number)


@receiver(post_delete, sender=Phone, dispatch_uid="poketalk_next_default_phone")
def _choose_next_default(instance: Phone, using: str, **kwargs: Any) -> None:
    """Make the user's oldest phone the default one, if the default phone was deleted."""
    left = Phone.objects.using(using).filter(user_id=instance.user_id)
    if not instance.is_default or left.filter(is_default=True).exists():
        return
    oldest = left.order_by("pk").first()
    if oldest is not None:
        left.filter(pk=oldest.pk).update(is_default=True)


def _default_first(phones: list[Phone]) -> list[Phone]:
    """These phones, with the first default one, or else the first one, in front and marked."""
    if not phones:
        return []
    default = next((phone for phone in phones if phone.is_default), phones[0])
    for phone in phones:
        phone.is_default = True if phone is default else None
    return [default, *(phone for phone in phones if phone is not default)]


def _unsaved(user: Any, given: Any) -> Phone:
    """A phone from what the project's function returned: an object with `number`, or a number."""
    value = getattr(given, "number", given)
    try:
        number = read_phone(value)
    except numbers.InvalidNumber:
        number = numbers.as_text(value).strip()
    return Phone(
        user=user,
        number=number,
        label=str(getattr(given, "label", None) or ""),
        is_default=True if getattr(given, "is_default", False) else None,
        verified_at=getattr(given, "verified_at", None),
    )
