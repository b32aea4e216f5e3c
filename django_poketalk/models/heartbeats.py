"""When the background processes were last at work."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .primary import PrimaryQuerySet


class Heartbeat(models.Model):
    """The last time that a kind of process did its work. There is one row for each."""

    SWEEP: ClassVar = "sweep"
    WORKER: ClassVar = "worker"

    name = models.CharField(_("name"), max_length=20, primary_key=True)
    seen_at = models.DateTimeField(_("last seen"))
    host = models.CharField(_("host"), max_length=200, blank=True)
    token = models.CharField(max_length=32, blank=True)  # of the question that a worker answered

    objects = PrimaryQuerySet.as_manager()

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("health")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def beat(cls, name: str, host: str = "", token: str = "") -> None:
        """Record that this process is at work now."""
        facts = {"seen_at": timezone.now(), "host": host[:200], "token": token[:32]}
        if not cls.objects.filter(name=name).update(**facts):
            cls.objects.update_or_create(name=name, defaults=facts)
