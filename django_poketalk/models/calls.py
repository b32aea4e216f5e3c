"""Call requests.

A call request has two states in two columns: `placement` is the state of our request to the
service, and `status` is the state of the call. `transitions` changes the placement. Only
`events.recording` writes the columns that events update.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from django.conf import settings as project
from django.contrib.contenttypes.models import ContentType
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import DEFAULT_SERVICE
from ..protocol import numbers
from .constraints import CONSTRAINTS
from .final_figures import WithTalkTime, final_cost, final_status, final_talk_time
from .indexes import of_calls as indexes_of_calls
from .numbers import NUMBER_LENGTH, validate_number
from .phones import validate_phone
from .primary import PrimaryQuerySet
from .related_rows import WithRelatedRows
from .states import ANSWERS, OPEN_BY_INDEX, OPEN_PLACEMENTS, Placement, Status
from .subjects import SubjectField
from .transitions import WithTransitions
from .webcallids import new_webcallid as new_webcallid  # as migrations name it


class CallRequestQuerySet(PrimaryQuerySet["CallRequest"]):
    """Call requests by state. `now` and `moment` are aware datetimes."""

    def due(self, now: datetime) -> CallRequestQuerySet:
        """Queued, after `not_before` and before `expires_at`."""
        return self.open().filter(
            placement=Placement.QUEUED, not_before__lte=now, expires_at__gt=now
        )

    def past_expiry(self, now: datetime) -> CallRequestQuerySet:
        """Queued, but expired."""
        return self.open().filter(placement=Placement.QUEUED, expires_at__lte=now)

    def open(self) -> CallRequestQuerySet:
        """Neither refused nor ended, as far as is known."""
        return self.filter(OPEN_BY_INDEX)

    def live(self) -> CallRequestQuerySet:
        """Open, and sent or about to be. A scheduled call is not live until it is sent."""
        is_scheduled = Q(placement=Placement.QUEUED, attempts=0, rings_at__gt=F("created_at"))
        return self.open().exclude(is_scheduled)

    def ringing_after(self, moment: datetime) -> CallRequestQuerySet:
        """Calls whose phones rang, or will ring, after `moment`."""
        return self.filter(placement__in=OPEN_PLACEMENTS, rings_at__gt=moment)

    def sending_since(self, moment: datetime) -> CallRequestQuerySet:
        """Being sent since before `moment`, so that the worker must have died."""
        return self.open().filter(placement=Placement.SENDING, sent_at__lte=moment)

    def stale_since(self, moment: datetime) -> CallRequestQuerySet:
        """Sent before `moment` and not ended, without an answer or an event since then."""
        return (
            self.open()
            .filter(placement__in=[Placement.ACCEPTED, Placement.UNKNOWN], sent_at__lte=moment)
            .filter(Q(placed_at=None) | Q(placed_at__lte=moment))
            .filter(Q(last_event_at=None) | Q(last_event_at__lte=moment))
        )


class CallRequest(WithTransitions, WithTalkTime, WithRelatedRows):
    """A request to connect two phones, and the call that results from it.

    Leg A (`from_number`) rings first, and leg B (`to_number`) when A has answered. Both numbers are
    E.164 with "+"; `from_number` may also be an internal number, of 2 to 6 digits. `to_extension`
    is dialed when B has answered.
    """

    webcallid = models.CharField(_("call id"), max_length=64, unique=True, default=new_webcallid)
    from_number = models.CharField(_("from"), max_length=NUMBER_LENGTH, validators=[validate_phone])
    to_number = models.CharField(_("to"), max_length=NUMBER_LENGTH, validators=[validate_number])
    to_extension = models.CharField(
        _("extension"),
        max_length=numbers.MAX_EXTENSION,
        blank=True,
        default="",
        validators=[RegexValidator(r"^[0-9]*\Z", _("Enter digits only."))],
        help_text=_("Dialed after the callee’s phone is answered."),
    )
    presented_number = models.CharField(
        _("presented number"),
        max_length=NUMBER_LENGTH,
        blank=True,
        default="",
        validators=[validate_number],
        help_text=_("What the callee’s phone displays. Empty: the service decides."),
    )
    # Whether the presented number was requested, instead of that of `CALLER_ID`
    chose_caller_id = models.BooleanField(default=False, editable=False)
    user = models.ForeignKey(
        project.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    subject_type = models.ForeignKey(
        ContentType,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    subject_id = models.CharField(max_length=64, blank=True)
    subject = SubjectField("subject_type", "subject_id")
    idempotency_key = models.CharField(
        max_length=64, null=True, blank=True, unique=True, editable=False
    )

    service = models.CharField(
        _("service"), max_length=40, default=DEFAULT_SERVICE, db_default=DEFAULT_SERVICE
    )
    reference = models.CharField(  # of services that do not know calls by our ids
        _("reference"), max_length=100, blank=True, default="", db_default="", editable=False
    )

    # The limits, which are also signed into the event URL
    max_duration = models.PositiveIntegerField(
        _("maximum duration"), help_text=_("The call ends after this many seconds.")
    )
    max_cost = models.DecimalField(
        _("maximum cost"),
        max_digits=15,
        decimal_places=6,
        null=True,
        blank=True,
        help_text=_("The call ends at this cost. Leave empty for no limit."),
    )

    # The state of our request
    placement = models.CharField(
        _("placement"), max_length=10, choices=Placement.choices, default=Placement.QUEUED
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    not_before = models.DateTimeField(_("not before"), default=timezone.now)
    rings_at = models.DateTimeField(
        _("rings at"),
        default=timezone.now,
        editable=False,
        help_text=_("When it is due, or when it was sent to the service."),
    )
    expires_at = models.DateTimeField(_("expires"))
    requires_permission = models.BooleanField(
        _("requires permission"),
        default=False,
        editable=False,
        help_text=_("Its user must still have the permission to place calls when it is sent."),
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    placed_at = models.DateTimeField(_("service answered at"), null=True, blank=True)
    response_code = models.CharField(
        _("response code"), max_length=3, blank=True, choices=[*ANSWERS.items()]
    )
    response_detail = models.CharField(
        _("answer"),
        max_length=255,
        blank=True,
        help_text=_("The service’s answer, or why there was none."),
    )

    # The state of the call
    status = models.SmallIntegerField(_("status"), null=True, blank=True, choices=Status.choices)
    duration = models.PositiveIntegerField(
        _("billed time"), default=0, help_text=_("Seconds since the caller answered.")
    )
    cost = models.DecimalField(_("cost"), max_digits=15, decimal_places=6, default=Decimal(0))
    status_at = models.DateTimeField(_("status since"), null=True, blank=True)
    last_event_at = models.DateTimeField(_("last event"), null=True, blank=True)
    a_initiated_at = models.DateTimeField(_("caller’s phone rang"), null=True, blank=True)
    a_answered_at = models.DateTimeField(_("caller answered at"), null=True, blank=True)
    b_initiated_at = models.DateTimeField(_("callee’s phone rang"), null=True, blank=True)
    b_answered_at = models.DateTimeField(_("callee answered at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    stale_at = models.DateTimeField(
        _("timed out at"),
        null=True,
        blank=True,
        help_text=_(
            "When the call was assumed to have ended, because the service sent no more events."
        ),
    )

    # Why we ended the call
    hangup_requested_at = models.DateTimeField(_("hang-up requested"), null=True, blank=True)
    hangup_requested_by = models.ForeignKey(
        project.AUTH_USER_MODEL,
        verbose_name=_("hang-up requested by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    veto_reason = models.CharField(
        _("reason for ending it"),
        max_length=200,
        blank=True,
        help_text=_("Why an event was answered with 412 for the first time."),
    )

    final_talk_time = final_talk_time()
    final_cost = final_cost()
    final_status = final_status()

    hangup_cause = models.CharField(
        _("hang-up cause"), max_length=40, blank=True, default="", db_default="", editable=False
    )

    # Not stored: whether `request_call` returned an earlier call with the same idempotency key
    repeated = False

    objects = CallRequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("call")
        verbose_name_plural = _("calls")
        ordering = ["-id"]
        get_latest_by = "id"
        default_permissions = ("view", "change", "delete")
        permissions = [
            ("place_call", "Can place calls"),
            ("dial_any_number", "Can dial any number"),
            ("hang_up_any_call", "Can hang up anybody's call"),
            ("view_numbers", "Can see whole phone numbers"),
        ]
        constraints = CONSTRAINTS
        indexes = indexes_of_calls(OPEN_BY_INDEX)

    def name_with(self, number: Callable[..., str]) -> str:
        return f"{number(self.from_number)} → {number(self.to_number, self.to_extension)}"

    @property
    def callee(self) -> str:
        """The callee's number with its extension, as a text that `request_call` reads."""
        return numbers.display(self.to_number, self.to_extension)

    def __repr__(self) -> str:
        name = self.name_with(numbers.mask)
        return f"<CallRequest {self.pk}: {name} {self.placement} {self.status}>"

    @property
    def state(self) -> str:
        """The state of the call for people: its status, or its placement if it has none yet."""
        if self.status is None:
            return str(self.get_placement_display())
        if self.stale_at is not None and self.ended_at is None:
            return str(_("ended (timed out)"))
        return str(self.get_status_display())

    @property
    def is_open(self) -> bool:
        """Whether the call is waiting, ringing or connected, as far as is known."""
        return self.placement in OPEN_PLACEMENTS and self.ended_at is None and self.stale_at is None

    @property
    def is_scheduled(self) -> bool:
        """Whether it was requested for later, and has not been sent yet."""
        return self.attempts == 0 and self.rings_at > self.created_at
