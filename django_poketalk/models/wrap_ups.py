"""Wrap-ups: what the caller notes about a call once it has ended.

They have a table of their own, since every event rewrites the row of its call.
"""

from __future__ import annotations

from django.conf import settings as project
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import settings
from .calls import CallRequest
from .primary import PrimaryQuerySet

KEY_LENGTH = 40  # of a disposition
NOTE_LENGTH = 2000
HAS_DISPOSITION = ~Q(disposition="")


class WrapUp(models.Model):
    """The outcome and the note of one call. Both may be empty. When to call back is in the call's
    `CallBack`.
    """

    call = models.OneToOneField(
        CallRequest,
        verbose_name=_("call"),
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="wrap_up",
    )
    disposition = models.CharField(
        _("result"),
        max_length=KEY_LENGTH,
        blank=True,
        default="",
        help_text=_("How the call ended for the caller: a key of DISPOSITIONS."),
    )
    note = models.TextField(_("note"), max_length=NOTE_LENGTH, blank=True, default="")
    user = models.ForeignKey(
        project.AUTH_USER_MODEL,
        verbose_name=_("written by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now)

    objects = PrimaryQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"  # for the row of a call
        verbose_name = _("wrap-up")
        verbose_name_plural = _("wrap-ups")
        default_permissions = ("change",)
        indexes = [
            models.Index(
                fields=["disposition", "-call"],
                name="poketalk_by_disposition",
                condition=HAS_DISPOSITION,
            )
        ]

    def __str__(self) -> str:
        return f"{self.call_id}: {self.label}"

    @property
    def label(self) -> str:
        """The disposition for people: its label, or the key if the setting has it no longer."""
        return disposition_label(self.disposition)


def disposition_label(key: str) -> str:
    """The label of a disposition, or the key itself if `DISPOSITIONS` has none for it."""
    return str((settings.dispositions or {}).get(key, key))
