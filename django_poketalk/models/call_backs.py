"""Call backs: whom a user wants to call, and when.

A call back reminds its user. To make the phones ring by themselves, request a call with
`not_before` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings as project
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import signals
from ..protocol import numbers
from ..shared.number_names import NamedByNumbers
from .calls import CallRequest
from .numbers import NUMBER_LENGTH, validate_number
from .primary import PrimaryQuerySet
from .subjects import SubjectField

NOTE_LENGTH = 200


class CallBackQuerySet(PrimaryQuerySet["CallBack"]):
    """Call backs by state. `now` is an aware datetime."""

    def waiting(self) -> CallBackQuerySet:
        """Not done yet."""
        return self.filter(done_at=None)

    def due(self, now: datetime) -> CallBackQuerySet:
        """Not done, and their time has come."""
        return self.waiting().filter(due_at__lte=now)

    def to_announce(self, now: datetime) -> CallBackQuerySet:
        """Due, and not announced yet."""
        return self.due(now).filter(reminded_at=None)


class CallBack(NamedByNumbers):
    """A call that a user wants to place at a time, with the number, the subject and the metadata
    that it will have. The user is reminded once, when it is due.
    """

    user = models.ForeignKey(
        project.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    to_number = models.CharField(_("to"), max_length=NUMBER_LENGTH, validators=[validate_number])
    to_extension = models.CharField(
        _("extension"), max_length=numbers.MAX_EXTENSION, blank=True, default=""
    )
    subject_type = models.ForeignKey(
        ContentType,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    subject_id = models.CharField(max_length=64, blank=True, default="")
    subject = SubjectField("subject_type", "subject_id")
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    note = models.CharField(_("note"), max_length=NOTE_LENGTH, blank=True, default="")
    due_at = models.DateTimeField(_("due"))
    after = models.OneToOneField(
        CallRequest,
        verbose_name=_("after call"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="call_back",
        help_text=_("The call that it follows."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    reminded_at = models.DateTimeField(_("reminded"), null=True, blank=True)
    done_at = models.DateTimeField(_("done"), null=True, blank=True)
    placed = models.ForeignKey(
        CallRequest,
        verbose_name=_("placed call"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("The call that was placed from it."),
    )

    objects = CallBackQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"  # for the row of a call
        verbose_name = _("call back")
        verbose_name_plural = _("call backs")
        ordering = ["due_at", "id"]
        default_permissions = ("view", "change", "delete")
        indexes = [
            models.Index(fields=["user", "done_at", "due_at"], name="poketalk_back_of_user"),
            models.Index(fields=["done_at", "reminded_at", "due_at"], name="poketalk_back_due"),
            models.Index(fields=["to_number"], name="poketalk_back_number"),
            models.Index(fields=["subject_type", "subject_id"], name="poketalk_back_about"),
        ]

    def name_with(self, number: Callable[..., str]) -> str:
        return number(self.to_number, self.to_extension)

    @property
    def callee(self) -> str:
        """The number with its extension, as a text that `request_call` reads."""
        return numbers.display(self.to_number, self.to_extension)

    @property
    def is_due(self) -> bool:
        """Whether it is not done, and its time has come."""
        return self.done_at is None and self.due_at <= timezone.now()

    def remind(self, now: datetime) -> bool:
        """Announce that it is due, once. Returns False if another process has."""
        if not self._update(CallBack.objects.to_announce(now), reminded_at=now):
            return False
        signals.announce(signals.callback_due, CallBack, call_back=self)
        return True

    def finish(self, now: datetime, placed: CallRequest | None = None) -> bool:
        """Mark it as done, by this call or without one. Returns False if it is done already."""
        changes = {"done_at": now, "placed_id": placed.pk if placed else None}
        return self._update(CallBack.objects.waiting(), **changes)

    def reopen(self) -> bool:
        """Mark it as not done. Returns False if it is not."""
        among = CallBack.objects.exclude(done_at=None)
        return self._update(among, done_at=None, placed_id=None)

    def move(self, due_at: datetime, **changes: Any) -> bool:
        """Set another time, so that the user is reminded again. Returns False if it is done."""
        if due_at != self.due_at:
            changes |= {"due_at": due_at, "reminded_at": None}
        return self._update(CallBack.objects.waiting(), **changes)

    def _update(self, among: models.QuerySet[CallBack], **changes: Any) -> bool:
        """Compare-and-set: update the row if it is still `among`, and then this object."""
        if changes and not among.filter(pk=self.pk).update(**changes):
            return False
        for field, value in changes.items():
            setattr(self, field, value)
        return True
