"""Gateways, and the prefixes of the numbers that they reach."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers
from django_poketalk.shared.number_errors import explain

from ..routing import passwords
from ..routing.routes import Carries
from ..routing.trunk import (
    ANONYMOUS,
    FAILOVER_CODES,
    INFO,
    PROGRESS_TIMEOUT,
    AsteriskTrunk,
    SipTrunk,
    Trunk,
)
from .gateway_validators import (
    endpoint_validator,
    host_validator,
    username_validator,
    validate_ari_url,
    validate_password_variable,
)
from .providers import ServiceProvider

digits_validator = RegexValidator(r"^[0-9]{0,15}\Z", _("Enter digits only, without + and spaces."))


def validate_prefix(text: str, *, is_internal: bool = False) -> None:
    """`ValidationError` unless internal, or else international, numbers can begin so, in digits.
    Empty is for all.
    """
    digits_validator(text)
    if is_internal and len(text) > INTERNAL_LENGTH:
        raise ValidationError(_("An internal number has at most 6 digits."), code="prefix_invalid")
    if text and not is_internal:
        _check_prefix(text)


def validate_prefixes(text: str) -> None:
    """`ValidationError` unless these are digits, separated by single spaces."""
    RegexValidator(r"^[0-9]+( [0-9]+)*\Z", _("Enter digits separated by single spaces."))(text)


def _check_prefix(digits: str) -> None:
    if digits.startswith("0"):
        words = _("“%s” is not a prefix: a prefix begins with a country code, never with 0.")
        raise ValidationError(words % digits, code="prefix_invalid")
    try:
        numbers.normalize_prefix(digits)
    except numbers.InvalidNumber as error:
        raise ValidationError(explain(error), code="prefix_invalid") from error


INTERNAL_LENGTH = 6  # digits at most


class Gateway(models.Model):
    """A route to the phone network. Gateways are tried by longest matching prefix, then priority,
    then age.
    """

    class Kind(models.TextChoices):
        SIMULATED = "simulated", _("simulated phones")
        SIP = "sip", _("SIP trunk")
        ASTERISK = "asterisk", _("Asterisk")

    class CallerId(models.TextChoices):
        OTHER_LEG = "other", _("the other leg’s number")
        FIXED = "fixed", _("always the same number")
        ANONYMOUS = "anonymous", _("none")

    class Numbers(models.TextChoices):
        EXTERNAL = Carries.EXTERNAL.value, _("phone numbers")
        INTERNAL = Carries.INTERNAL.value, _("internal numbers")
        BOTH = Carries.BOTH.value, _("both")

    class Dtmf(models.TextChoices):
        NONE = "", _("no")
        INFO = INFO, _("by SIP INFO")

    provider = models.ForeignKey(
        ServiceProvider,
        verbose_name=_("service provider"),
        on_delete=models.CASCADE,
        related_name="gateways",
    )
    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    is_active = models.BooleanField(_("active"), default=True)
    numbers = models.CharField(
        _("reaches"),
        max_length=10,
        choices=Numbers.choices,
        default=Numbers.EXTERNAL,
        help_text=_(
            "Internal numbers are 2 to 6 digits that only this PBX knows, such as its extensions."
        ),
    )
    prefixes = models.CharField(
        _("prefixes"),
        max_length=500,
        blank=True,
        validators=[validate_prefixes],
        help_text=_(
            "Number prefixes, separated by spaces. Leave empty for all numbers. If the gateway "
            "reaches both kinds, they apply to phone numbers only."
        ),
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"), default=10, help_text=_("Lower values are tried first.")
    )
    ring_timeout = models.PositiveSmallIntegerField(
        _("ring timeout"),
        default=30,
        validators=[MinValueValidator(1)],
        help_text=_("Seconds from dialing after which an unanswered attempt ends."),
    )

    # SIP and Asterisk
    username = models.CharField(
        _("user name"),
        max_length=100,
        blank=True,
        validators=[username_validator],
        help_text=_("For authentication. Leave empty if the trunk authenticates by IP address."),
    )
    password_variable = models.CharField(
        _("password variable"),
        max_length=100,
        blank=True,
        validators=[validate_password_variable],
        help_text=_(
            "The environment variable of the switch that contains the password, such as "
            "POKETALK_GATEWAY_ACME. The password itself is not stored."
        ),
    )
    caller_id = models.CharField(
        _("caller ID"), max_length=10, choices=CallerId.choices, default=CallerId.OTHER_LEG
    )
    caller_number = models.CharField(
        _("caller number"),
        max_length=15,
        blank=True,
        validators=[digits_validator],
        help_text=_(
            "With country code. All calls display it if the caller ID is always the same number. "
            "Calls from internal numbers display it if the caller ID is the other leg’s number."
        ),
    )
    strip_digits = models.PositiveSmallIntegerField(
        _("digits to strip"),
        default=0,
        validators=[MaxValueValidator(14)],
        help_text=_("How many digits to remove from the start of each number."),
    )
    add_prefix = models.CharField(
        _("prefix to add"),
        max_length=20,
        blank=True,
        validators=[
            RegexValidator(
                r"^[+]?[0-9*#]*\Z", _("Enter digits, * or #, with an optional + at the start.")
            )
        ],
        help_text=_("Added to the start of each number afterwards, such as + or 00."),
    )
    max_channels = models.PositiveIntegerField(
        _("channels"),
        default=0,
        help_text=_("Simultaneous legs over all switches. A call has two. 0: no limit."),
    )
    calls_per_second = models.PositiveIntegerField(
        _("calls per second"),
        default=0,
        help_text=_(
            "Per switch. 0: no limit. Beyond it, leg A waits for up to 1 second and leg B for up "
            "to 5; then the next gateway is tried."
        ),
    )
    early_media = models.BooleanField(
        _("early media"),
        default=False,
        help_text=_("Leg A hears the ringing tone or announcements of leg B’s network."),
    )
    progress_timeout = models.PositiveSmallIntegerField(
        _("progress timeout"),
        default=PROGRESS_TIMEOUT,
        validators=[MinValueValidator(1)],
        help_text=_(
            "Seconds. If no phone has rung by then, the attempt is canceled, and the next gateway "
            "is tried."
        ),
    )

    # SIP
    host = models.CharField(
        _("host"),
        max_length=255,
        blank=True,
        validators=[host_validator],
        help_text=_("The trunk’s host name or IP address."),
    )
    port = models.PositiveIntegerField(
        _("port"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
        help_text=_("Leave empty to use the host’s SRV record, or 5060."),
    )
    from_domain = models.CharField(
        _("From domain"),
        max_length=255,
        blank=True,
        validators=[host_validator],
        help_text=_("The domain in the From header. Leave empty for the switch’s own address."),
    )
    late_offer = models.BooleanField(
        _("late offer"),
        default=False,
        help_text=_("Connects leg A without a re-INVITE, for phones that refuse it."),
    )
    keep_alive = models.PositiveIntegerField(
        _("keep-alive"),
        default=0,
        help_text=_(
            "Seconds between two OPTIONS requests, which check that the trunk is up. 0: none."
        ),
    )
    failover_codes = models.CharField(
        _("failover codes"),
        max_length=200,
        blank=True,
        validators=[
            RegexValidator(
                r"^[4-6][0-9]{2}( [4-6][0-9]{2})*\Z",
                _("Enter SIP statuses from 400 to 699, separated by single spaces."),
            )
        ],
        help_text=_(
            "The SIP responses after which the next gateway is tried, separated by spaces. Leave "
            "empty for 402, 403, 408, 421 and 500 to 504."
        ),
    )
    dtmf = models.CharField(
        _("dials extensions"),
        max_length=10,
        blank=True,
        default="",
        choices=Dtmf.choices,
        help_text=_(
            "Whether the trunk accepts digits in SIP INFO requests (application/dtmf-relay)."
        ),
    )

    # Asterisk
    ari_url = models.CharField(
        _("ARI address"),
        max_length=255,
        blank=True,
        validators=[validate_ari_url],
        help_text=_("Asterisk’s HTTP server, such as https://pbx.example.com:8089."),
    )
    application = models.CharField(
        _("application"),
        max_length=40,
        default="poketalk",
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9_-]+\Z", _("Enter letters, digits, hyphens and underscores only.")
            )
        ],
        help_text=_("Prefix of the Stasis applications in Asterisk."),
    )
    endpoint = models.CharField(
        _("endpoint"),
        max_length=200,
        blank=True,
        validators=[endpoint_validator],
        help_text=_("The endpoint that Asterisk dials. {number} is replaced by the phone number."),
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
        """`ValidationError` if the kind of gateway requires a field that is empty."""
        errors: dict[str, Any] = {}
        try:
            self._check_prefixes()
        except ValidationError as error:
            errors["prefixes"] = error
        if self.kind == self.Kind.SIP and not self.host:
            errors["host"] = _("Enter the trunk’s host.")
        if self.kind == self.Kind.ASTERISK:
            if not self.ari_url:
                errors["ari_url"] = _("Enter Asterisk’s address.")
            if not self.endpoint:
                errors["endpoint"] = _("Enter an endpoint.")
            if not self.username:
                errors["username"] = _("Enter a user of Asterisk’s ari.conf.")
        is_real = self.kind != self.Kind.SIMULATED
        if is_real and self.caller_id == self.CallerId.FIXED and not self.caller_number:
            errors["caller_number"] = _("Enter the number that all calls display.")
        if errors:
            raise ValidationError(errors)

    def _check_prefixes(self) -> None:
        try:
            validate_prefixes(self.prefixes)
        except ValidationError:  # the field has said so, or it is empty
            return
        is_internal = self.numbers == self.Numbers.INTERNAL
        for prefix in self.prefixes.split():
            validate_prefix(prefix, is_internal=is_internal)

    @property
    def dials_extensions(self) -> bool:
        """Whether it can dial an extension after leg B's answer."""
        return self.trunk is None or self.trunk.dials_extensions

    @property
    def trunk(self) -> Trunk | None:
        """Its connection settings, with the password; None for simulated phones."""
        match self.kind:
            case self.Kind.SIP:
                return SipTrunk(
                    host=self.host,
                    port=self.port,
                    from_domain=self.from_domain,
                    early_media=self.early_media,
                    late_offer=self.late_offer,
                    keep_alive=self.keep_alive,
                    dtmf=self.dtmf,
                    **self._trunk_facts(),
                )
            case self.Kind.ASTERISK:
                return AsteriskTrunk(
                    url=self.ari_url,
                    application=self.application,
                    endpoint=self.endpoint,
                    early_media=self.early_media,
                    **self._trunk_facts(),
                )
        return None

    def _trunk_facts(self) -> dict[str, Any]:
        caller_ids = {
            self.CallerId.OTHER_LEG: "",
            self.CallerId.FIXED: self.caller_number,
            self.CallerId.ANONYMOUS: ANONYMOUS,
        }
        password, problem = passwords.read(self.password_variable)
        needs_none = not self.username and not self.password_variable
        return {
            "username": self.username,
            "password": password,
            "password_problem": "" if needs_none else problem,
            "failover_codes": frozenset(map(int, self.failover_codes.split())) or FAILOVER_CODES,
            "caller_id": caller_ids[self.CallerId(self.caller_id)],
            "fallback": self.caller_number if self.caller_id == self.CallerId.OTHER_LEG else "",
            "is_internal": self.numbers == self.Numbers.INTERNAL,
            "strip": self.strip_digits,
            "add": self.add_prefix,
            "calls_per_second": self.calls_per_second,
            "progress_timeout": self.progress_timeout,
        }
