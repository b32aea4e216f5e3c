"""Call requests.

A call request has two states in two columns: `placement` is the state of our request to the
service, and `status` is the state of the call. Each change of the placement is a compare-and-set.
Only `events.recording` writes the columns that events update.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings as project
from django.contrib.contenttypes.models import ContentType
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import signals
from ..conf import DEFAULT_SERVICE
from ..protocol import numbers
from ..protocol.codes import ResponseCode
from ..shared.compiled import Rows
from ..shared.text import short
from .beside_calls import WithRowsBeside
from .call_totals import changing
from .constraints import CONSTRAINTS
from .final_figures import WithTalkTime, final_cost, final_status, final_talk_time
from .indexes import of_calls as indexes_of_calls
from .numbers import NUMBER_LENGTH, validate_number
from .phones import validate_phone
from .primary import PrimaryQuerySet
from .states import ANSWERS, ARE_OPEN, IS_OPEN, OPEN_PLACEMENTS, ManualResolution, Placement, Status
from .subjects import SubjectField
from .transitions import ACCEPTABLE, DUE, REJECTABLE
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
        return self.filter(ARE_OPEN)

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


class CallRequest(WithTalkTime, WithRowsBeside):
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
        indexes = indexes_of_calls(IS_OPEN)

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

    def begin_sending(self, now: datetime) -> bool:
        """Claim a due request for this process, before its first byte is sent. Returns False if
        another process has claimed it.
        """
        due, attempts = DUE.among(self.attempts, now), self.attempts + 1
        return self._move(due, Placement.SENDING, sent_at=now, rings_at=now, attempts=attempts)

    def forbid(self, sentence: str) -> bool:
        """Close a request that has not been sent and is no longer allowed. No phone rings."""
        queued = CallRequest.objects.filter(placement=Placement.QUEUED)
        return self._move(queued, Placement.FORBIDDEN, response_detail=short(sentence))

    def hold_back(self, sentence: str) -> bool:
        """Note why a request that is due still waits."""
        queued = CallRequest.objects.filter(placement=Placement.QUEUED)
        return self.update_if(queued, response_detail=short(sentence))

    def accept(self, now: datetime, detail: str, reference: str = "") -> bool:
        """Record that the service accepted the call, and its own id of it. This also works if the
        request was marked as unknown meanwhile, or if the first event arrived before this answer.
        """
        code = ResponseCode.OK.value
        return self._record_answer(Placement.ACCEPTED, now, code, detail, reference=reference)

    def reject(self, now: datetime, code: str, detail: str, cause: str = "") -> bool:
        """Record that the service refused the request: with a code, or, without one (""), with a
        message for invalid input. `cause`: which of its reasons the code had.
        """
        return self._record_answer(Placement.REJECTED, now, code, detail, hangup_cause=cause)

    def lose(self, detail: str) -> bool:
        """Record that there was no clear answer, so that it is unknown whether phones ring. The
        request is not sent again.
        """
        sending = CallRequest.objects.filter(placement=Placement.SENDING)
        return self._move(sending, Placement.UNKNOWN, response_detail=short(detail))

    def retry(self, at: datetime, detail: str) -> bool:
        """Record that the service could not be reached, so that nothing was sent. Queue the request
        again for `at`, or fail if that is after its expiry.
        """
        sending = CallRequest.objects.filter(placement=Placement.SENDING)
        placement = Placement.QUEUED if at < self.expires_at else Placement.FAILED
        changes = {"not_before": at, "rings_at": at, "response_detail": short(detail)}
        return self._move(sending, placement, **changes)

    def expire(self, now: datetime) -> bool:
        """Expire a request that was not placed in time. No phone rings."""
        return self._move(CallRequest.objects.past_expiry(now), Placement.EXPIRED)

    def cancel(self, now: datetime, user: Any = None) -> bool:
        """Cancel a request that has not been sent. Returns False if it has."""
        among = CallRequest.objects.filter(placement=Placement.QUEUED)
        changes = {"hangup_requested_at": now, "hangup_requested_by": user}
        return self._move(among, Placement.CANCELLED, **changes)

    def request_hang_up(self, now: datetime, user: Any = None) -> bool:
        """Make the next event be answered with 412. Returns False if the call has ended, or if this
        was requested before.
        """
        among = CallRequest.objects.open().filter(hangup_requested_at=None)
        return self.update_if(among, hangup_requested_at=now, hangup_requested_by=user)

    def mark_stale(self, now: datetime) -> bool:
        """Assume that the call has ended, because there were no events for too long. If another
        event arrives, the call is open again.
        """
        among = CallRequest.objects.open().filter(last_event_at=self.last_event_at)
        return self.update_if(among, stale_at=now)

    def resolve(self, outcome: ManualResolution, now: datetime) -> bool:
        """Record the outcome that a person found out for a request without a clear answer. Returns
        False if the outcome is already known.

        Later events override it.
        """
        among = CallRequest.objects.filter(placement=Placement.UNKNOWN)
        if outcome is ManualResolution.NEVER_RANG:
            return self._move(among, Placement.FAILED)
        if outcome is ManualResolution.RANG:
            return self._move(among, Placement.ACCEPTED)
        return self._move(among, Placement.ACCEPTED, stale_at=self.stale_at or now)

    def _record_answer(
        self, placement: Placement, now: datetime, code: str, detail: str, **changes: Any
    ) -> bool:
        waiting = ACCEPTABLE if placement is Placement.ACCEPTED else REJECTABLE
        return self._move(
            waiting.among(),
            placement,
            placed_at=now,
            response_code=code,
            response_detail=short(detail),
            **changes,
        )

    def _move(self, among: Rows, placement: Placement, **changes: Any) -> bool:
        """`update_if` with this placement."""
        return self.update_if(among, placement=placement.value, **changes)

    def update_if(self, among: Rows, **changes: Any) -> bool:
        """Compare-and-set: update the row if it is still `among`, and then this object. Returns
        whether it was. Sends the signals after the commit.
        """
        previous, was_open = Placement(self.placement), self.is_open
        with changing([self.created_at]):
            if not among.filter(pk=self.pk).update(**changes):
                return False
        for field, value in changes.items():
            setattr(self, field, value)
        if self.placement != previous:
            moved = {"placement": Placement(self.placement), "previous": previous}
            signals.announce(signals.placement_changed, CallRequest, call=self, **moved)
        if was_open and not self.is_open:
            signals.announce(signals.call_ended, CallRequest, call=self)
        return True
