"""Providers, and the gateways by which each reaches numbers."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..routing.trunk import ANONYMOUS, NUMBER, AsteriskTrunk, SipTrunk, Trunk

prefix_validator = RegexValidator(
    r"^[0-9]{0,15}\Z", _("Digits only, as on the wire: no + and no spaces.")
)


host_validator = RegexValidator(
    r"^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*[.]?\Z",
    _("A host’s name or IPv4 address; the port has its own field."),
)

PLAIN = "[A-Za-z0-9@._/:;=+*#-]"  # what an endpoint is made of, beside the number


def validate_ari_url(text: str) -> None:
    """Refuse what is no address of an HTTP server, or has a password in it."""
    try:
        url = urlsplit(text)
        named = bool(url.hostname) and url.port != 0
    except ValueError:
        named = False
    if not named or url.scheme not in ("http", "https") or not re.fullmatch(r"[!-~]+", text):
        raise ValidationError(_("An address begins with http:// or https://."))
    if url.username or url.password or url.query or url.fragment:
        raise ValidationError(_("No user name, no password, no ? and no # in the address."))


class LegABilling(models.TextChoices):
    """From when on leg A is paid for. Leg B always is from its own answer on."""

    ANSWER = "answer", _("from its answer on")
    CONNECTED = "connected", _("only while both legs are connected")


class ServiceProvider(models.Model):
    """A carrier, or a deal with one: its gateways and its rates go together."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_active = models.BooleanField(_("active"), default=True)
    leg_a_billed = models.CharField(
        _("leg A is paid for"),
        max_length=10,
        choices=LegABilling.choices,
        default=LegABilling.ANSWER,
        help_text=_("A change holds for calls that are asked for from then on."),
    )

    class Meta:
        verbose_name = _("service provider")
        verbose_name_plural = _("service providers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Gateway(models.Model):
    """A way out to the phones: tried in order of the longest matching prefix, then priority, then
    age.
    """

    class Kind(models.TextChoices):
        SIMULATED = "simulated", _("simulated phones")
        SIP = "sip", _("SIP trunk")
        ASTERISK = "asterisk", _("Asterisk")

    class CallerId(models.TextChoices):
        OTHER_LEG = "other", _("the other leg’s number")
        FIXED = "fixed", _("always the same number")
        ANONYMOUS = "anonymous", _("none")

    provider = models.ForeignKey(
        ServiceProvider,
        verbose_name=_("service provider"),
        on_delete=models.CASCADE,
        related_name="gateways",
    )
    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    is_active = models.BooleanField(_("active"), default=True)
    prefixes = models.CharField(
        _("prefixes"),
        max_length=500,
        blank=True,
        validators=[
            RegexValidator(r"^[0-9]+( [0-9]+)*\Z", _("Digits, separated by single spaces."))
        ],
        help_text=_("The prefixes it reaches, separated by spaces. Empty: all."),
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"), default=10, help_text=_("Lower is tried first.")
    )
    ring_timeout = models.PositiveSmallIntegerField(
        _("ring timeout"),
        default=30,
        validators=[MinValueValidator(1)],
        help_text=_("Seconds that a phone may ring."),
    )

    # Real phones, whichever way
    username = models.CharField(
        _("user name"),
        max_length=100,
        blank=True,
        help_text=_("Who we are when we are asked. Empty: a trunk knows us by our address."),
    )
    password_variable = models.CharField(
        _("password variable"),
        max_length=100,
        blank=True,
        validators=[
            RegexValidator(r"^[A-Za-z_][A-Za-z0-9_]*\Z", _("A name such as TRUNK_PASSWORD."))
        ],
        help_text=_(
            "The environment variable of the switch that holds the password. The password itself "
            "is not stored."
        ),
    )
    caller_id = models.CharField(
        _("caller id"), max_length=10, choices=CallerId.choices, default=CallerId.OTHER_LEG
    )
    caller_number = models.CharField(
        _("caller number"),
        max_length=15,
        blank=True,
        validators=[prefix_validator],
        help_text=_("The number that all calls show, where it is always the same."),
    )
    strip_digits = models.PositiveSmallIntegerField(
        _("digits to strip"),
        default=0,
        validators=[MaxValueValidator(14)],
        help_text=_("How many are taken from the front of each number."),
    )
    add_prefix = models.CharField(
        _("prefix to add"),
        max_length=20,
        blank=True,
        validators=[
            RegexValidator(r"^[+]?[0-9*#]*\Z", _("Digits, * and #, with a + at most first."))
        ],
        help_text=_("What is put in front of each number then, such as + or 00."),
    )
    max_channels = models.PositiveIntegerField(
        _("channels"), default=0, help_text=_("Phones at a time, per switch. 0: no limit.")
    )
    calls_per_second = models.PositiveIntegerField(
        _("calls per second"), default=0, help_text=_("Per switch. 0: no limit.")
    )

    # SIP
    host = models.CharField(
        _("host"),
        max_length=255,
        blank=True,
        validators=[host_validator],
        help_text=_("The trunk’s name or address."),
    )
    port = models.PositiveIntegerField(
        _("port"), default=5060, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    from_domain = models.CharField(
        _("From domain"),
        max_length=255,
        blank=True,
        help_text=_("What stands behind the @ in From. Empty: the switch’s own address."),
    )
    early_media = models.BooleanField(
        _("early media"),
        default=False,
        help_text=_("Leg A hears what leg B’s network plays before leg B answers."),
    )
    late_offer = models.BooleanField(
        _("late offer"),
        default=False,
        help_text=_("For phones that refuse a re-INVITE: leg A is connected without one."),
    )
    keep_alive = models.PositiveIntegerField(
        _("keep-alive"),
        default=0,
        help_text=_("Seconds between two OPTIONS, which show whether it is up. 0: none."),
    )

    # Asterisk
    ari_url = models.CharField(
        _("address"),
        max_length=255,
        blank=True,
        validators=[validate_ari_url],
        help_text=_("Of Asterisk’s HTTP server, such as https://pbx.example.com:8089."),
    )
    application = models.CharField(
        _("application"),
        max_length=40,
        default="poketalk",
        validators=[
            RegexValidator(r"^[A-Za-z0-9_-]+\Z", _("Letters, digits, hyphens and underscores."))
        ],
        help_text=_("What our channels in Asterisk are named after."),
    )
    endpoint = models.CharField(
        _("endpoint"),
        max_length=200,
        blank=True,
        validators=[
            RegexValidator(
                rf"^[A-Za-z0-9]+/{PLAIN}*{re.escape(NUMBER)}{PLAIN}*\Z",
                _("A technology and a resource with {number} once, such as PJSIP/{number}@trunk."),
            )
        ],
        help_text=_("What Asterisk is to ring; {number} stands for the number."),
    )

    class Meta:
        verbose_name = _("gateway")
        verbose_name_plural = _("gateways")
        ordering = ["provider", "priority", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "name"], name="poketalk_server_gateway_name"
            ),
            models.CheckConstraint(
                condition=Q(ring_timeout__gte=1), name="poketalk_server_ring_timeout"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a gateway that no call could go through."""
        wrong: dict[str, Any] = {}
        if self.kind == self.Kind.SIP and not self.host:
            wrong["host"] = _("A SIP trunk has a host.")
        if self.kind == self.Kind.ASTERISK:
            if not self.ari_url:
                wrong["ari_url"] = _("Where is this Asterisk?")
            if not self.endpoint:
                wrong["endpoint"] = _("What shall it ring?")
            if not self.username:
                wrong["username"] = _("Asterisk wants a user of its ari.conf.")
        is_real = self.kind != self.Kind.SIMULATED
        if is_real and self.caller_id == self.CallerId.FIXED and not self.caller_number:
            wrong["caller_number"] = _("Which number shall all calls show?")
        if wrong:
            raise ValidationError(wrong)

    @property
    def trunk(self) -> Trunk | None:
        """Where and how its calls go, with the password; None for simulated phones."""
        match self.kind:
            case self.Kind.SIP:
                return SipTrunk(
                    host=self.host,
                    port=self.port,
                    from_domain=self.from_domain,
                    early_media=self.early_media,
                    late_offer=self.late_offer,
                    keep_alive=self.keep_alive,
                    **self._trunk_facts(),
                )
            case self.Kind.ASTERISK:
                return AsteriskTrunk(
                    url=self.ari_url,
                    application=self.application,
                    endpoint=self.endpoint,
                    **self._trunk_facts(),
                )
        return None

    def _trunk_facts(self) -> dict[str, Any]:
        shown = {
            self.CallerId.OTHER_LEG: "",
            self.CallerId.FIXED: self.caller_number,
            self.CallerId.ANONYMOUS: ANONYMOUS,
        }
        return {
            "username": self.username,
            "password": os.environ.get(self.password_variable, "")
            if self.password_variable
            else "",
            "caller_id": shown[self.CallerId(self.caller_id)],
            "strip": self.strip_digits,
            "add": self.add_prefix,
            "max_channels": self.max_channels,
            "calls_per_second": self.calls_per_second,
        }
