"""Running switches, and test calls through gateways."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as project
from django.db import models
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared.number_names import NamedByNumbers

from ..database.clock import DatabaseNow
from .gateways import Gateway

ALIVE_WITHIN = timedelta(seconds=20)  # since the last heartbeat


class Switch(models.Model):
    """A `poketalk_switch` with its heartbeat. One that stops deletes its row; a crash leaves it."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    version = models.CharField(_("version"), max_length=40)
    started_at = models.DateTimeField(_("started"))
    seen_at = models.DateTimeField(_("last seen"))
    live_calls = models.PositiveIntegerField(_("live calls"), default=0)
    problems = models.CharField(
        _("problems"),
        max_length=200,
        blank=True,
        help_text=_("Why it takes no calls. Empty: it takes calls."),
    )

    class Meta:
        verbose_name = _("switch")
        verbose_name_plural = _("switches and health")
        ordering = ["name"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name

    def is_alive(self, now: datetime) -> bool:
        """Whether its last heartbeat is recent."""
        return self.seen_at > now - ALIVE_WITHIN

    def is_ready(self, now: datetime) -> bool:
        """Whether it is alive and takes calls. One that drains, or lost its port, does not."""
        return self.is_alive(now) and not self.problems


class TestCall(NamedByNumbers):
    """A call to one number through one gateway, to test it. Nobody is charged.

    A switch rings the number, and hangs up a moment after the answer.
    """

    __test__ = False  # for pytest, which collects classes by this name

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        ACTIVE = "active", _("ringing")
        ENDED = "ended", _("ended")

    gateway = models.ForeignKey(
        Gateway, verbose_name=_("gateway"), on_delete=models.CASCADE, related_name="test_calls"
    )
    number = models.CharField(_("number"), max_length=15)
    created_at = models.DateTimeField(_("created"), db_default=DatabaseNow())
    created_by = models.ForeignKey(
        project.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )
    state = models.CharField(_("state"), max_length=6, choices=State.choices, default=State.QUEUED)
    switch = models.CharField(_("switch"), max_length=100, blank=True)
    begun_at = models.DateTimeField(_("started"), null=True, blank=True)
    ringing_at = models.DateTimeField(_("ringing"), null=True, blank=True)
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    hangup_cause = models.CharField(_("hang-up cause"), max_length=40, blank=True)
    sip_status = models.PositiveSmallIntegerField(_("SIP status"), default=0)
    q850 = models.PositiveSmallIntegerField(_("Q.850 cause"), default=0)
    dialog = models.TextField(editable=False, blank=True)  # for another switch to hang up the phone

    class Meta:
        verbose_name = _("test call")
        verbose_name_plural = _("test calls")
        ordering = ["-id"]
        default_permissions = ("add", "view")
        indexes = [
            models.Index(
                fields=["state"],
                name="poketalk_server_test_calls",
                condition=~models.Q(state="ended"),
            )
        ]

    def name_with(self, number: Callable[[str], str]) -> str:
        return f"{self.gateway_id}: {number(self.number)}"

    @property
    def got_through(self) -> bool | None:
        """Whether the phone was answered; None while it may still be."""
        if self.answered_at is not None:
            return True
        return None if self.ended_at is None else False

    def move(self, before: State, **changes: Any) -> bool:
        """Update the row if it is still in the state `before` and of the same switch. False if it
        is not.
        """
        rows = TestCall.objects.filter(pk=self.pk, state=before, switch=self.switch)
        return bool(rows.update(**changes))
