"""Calls with their legs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.deletion import Collector, ProtectedError
from django.db.models.expressions import Combinable
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import MAX_LENGTH
from django_poketalk.protocol.form_extensions import MAX_TO_EXTENSION
from django_poketalk.shared.number_names import NamedByNumbers

from ..billing.rating import Tariff
from ..database import notify
from ..database.clock import DatabaseNow
from ..database.notify import Notification
from .accounts import Account
from .deletion import MAX_PROTECTED, protect
from .gateways import Gateway
from .providers import LegABilling, ServiceProvider
from .rates import Rate


class Side(models.TextChoices):
    """The two legs: A (`from`) rings first, B (`to`) once A has answered."""

    A = "A", _("leg A")
    B = "B", _("leg B")


class Status(models.IntegerChoices):
    """The protocol's call status, with labels for operators."""

    UNKNOWN = CallStatus.UNKNOWN, _("unknown")
    A_INITIATED = CallStatus.A_INITIATED, _("leg A initiated")
    A_FAILED = CallStatus.A_FAILED, _("leg A failed")
    A_ANSWERED = CallStatus.A_ANSWERED, _("leg A answered")
    A_DISCONNECTED = CallStatus.A_DISCONNECTED, _("leg A hung up before leg B answered")
    B_INITIATED = CallStatus.B_INITIATED, _("leg B initiated")
    B_FAILED = CallStatus.B_FAILED, _("leg B failed")
    B_ANSWERED = CallStatus.B_ANSWERED, _("leg B answered")
    AB_DISCONNECTED = CallStatus.AB_DISCONNECTED, _("ended after leg B answered")


class CallQuerySet(models.QuerySet["Call"]):
    """Calls by the stage they are in."""

    def queued(self) -> CallQuerySet:
        """Calls that no switch has claimed yet."""
        return self.filter(state=Call.State.QUEUED)

    def next_turn(self, account: Account) -> int:
        """The turn of the account's next call, if it is queued now. The account must be locked.

        Accounts take turns: an account's calls follow each other, and its first one joins the head
        of the queue, so that it does not wait for all calls of another account.
        """
        head = self.queued().order_by("turn", "id").values_list("turn", flat=True).first()
        if head is None:
            return 0
        newest = self.filter(account=account).order_by("-id").only("state", "turn").first()
        return newest.turn + 1 if newest and newest.state == Call.State.QUEUED else head

    def live(self) -> CallQuerySet:
        """Calls that have not ended."""
        return self.filter(state__in=Call.LIVE)

    def abandoned(self, now: datetime | Combinable) -> CallQuerySet:
        """Calls whose switch let its lease lapse. `now` is the database's time."""
        return self.filter(state__in=Call.OWNED, lease_until__lt=now)


class Call(NamedByNumbers):
    """One admitted request, and its call detail record (CDR) after its end.

    A switch owns an active call by a lease (`switch`, `lease_until`) and a `fence`, which increases
    with each owner. Every write of a switch names its fence, so that a stale owner cannot write.
    The switch keeps a call that has ended (`ending`) until its final event has been sent.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        ACTIVE = "active", _("active")
        ENDING = "ending", _("ended, final event pending")
        ENDED = "ended", _("ended")

    LIVE = (State.QUEUED, State.ACTIVE)
    OWNED = (State.ACTIVE, State.ENDING)  # by a switch
    OVER = (State.ENDING, State.ENDED)

    account = models.ForeignKey(
        Account,
        verbose_name=_("account"),
        on_delete=protect,
        related_name="calls",
        db_index=False,
    )
    provider = models.ForeignKey(
        ServiceProvider,
        verbose_name=_("service provider"),
        on_delete=protect,
        related_name="+",
    )
    custom = models.CharField(
        _("custom"), max_length=255, help_text=_("The customer's id for the call ($webcallid).")
    )
    from_number = models.CharField(_("from"), max_length=15)
    to_number = models.CharField(_("to"), max_length=15)
    presented_number = models.CharField(
        _("presented number"),
        max_length=15,
        blank=True,
        help_text=_("What leg B displays, in digits. Empty: what the gateway’s caller ID says."),
    )
    to_extension = models.CharField(
        _("extension"),
        max_length=MAX_TO_EXTENSION,
        blank=True,
        default="",
        help_text=_("Dialed after leg B's answer. w and , are pauses."),
    )
    eventurl = models.CharField(_("event URL"), max_length=MAX_LENGTH, blank=True)
    remote_address = models.CharField(_("requested from"), max_length=45)
    created_at = models.DateTimeField(_("created"), db_default=DatabaseNow())
    rate_a = models.ForeignKey(
        Rate,
        verbose_name=_("rate of leg A"),
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )
    rate_b = models.ForeignKey(
        Rate,
        verbose_name=_("rate of leg B"),
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )
    leg_a_billed = models.CharField(
        _("leg A is billed"),
        max_length=10,
        choices=LegABilling.choices,
        default=LegABilling.ANSWER,
        help_text=_("The provider's setting at admission."),
    )
    max_duration = models.PositiveIntegerField(
        _("maximum duration"),
        help_text=_(
            "Seconds from leg A's answer that the funds pay for, computed at admission and again "
            "when leg B answers."
        ),
    )
    duration_cap = models.PositiveIntegerField(
        _("duration limit"),
        null=True,
        blank=True,
        help_text=_("Seconds, regardless of the funds. Empty: the maximum duration applies."),
    )
    held = models.DecimalField(_("held"), max_digits=15, decimal_places=3, default=Decimal(0))

    turn = models.PositiveBigIntegerField(
        _("turn"), default=0, help_text=_("The order in the queue: accounts take turns.")
    )
    state = models.CharField(_("state"), max_length=6, choices=State.choices, default=State.QUEUED)
    status = models.SmallIntegerField(_("status"), null=True, blank=True, choices=Status.choices)
    duration = models.PositiveIntegerField(
        _("duration"), default=0, help_text=_("Seconds from leg A's answer.")
    )
    cost = models.DecimalField(_("cost"), max_digits=15, decimal_places=3, default=Decimal(0))
    hangup_cause = models.CharField(_("hang-up cause"), max_length=40, blank=True)
    hangup_requested_at = models.DateTimeField(_("hang-up requested"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    charged_at = models.DateTimeField(
        _("charged"), null=True, blank=True, help_text=_("When its cost was charged.")
    )

    final_event_due_at = models.DateTimeField(
        _("final event repeated at"),
        null=True,
        blank=True,
        help_text=_("Empty: the final event was answered, or there is nothing to repeat."),
    )

    switch = models.CharField(_("switch"), max_length=100, blank=True)
    fence = models.PositiveIntegerField(_("fence"), default=0)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    seen_at = models.DateTimeField(_("last update"), null=True, blank=True)

    objects = CallQuerySet.as_manager()

    class Meta:
        verbose_name = _("service call")
        verbose_name_plural = _("service calls")
        ordering = ["-id"]
        get_latest_by = "id"
        default_permissions = ("view",)
        permissions = [
            ("hang_up_call", "Can hang up live calls"),
            ("view_numbers", "Can see whole phone numbers"),
            ("view_buy_costs", "Can see what calls cost us, and the margin"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "active", "ending", "ended"]),
                name="poketalk_server_state_known",
            ),
            models.CheckConstraint(
                condition=Q(status=None) | Q(status__range=(0, 8)),
                name="poketalk_server_status_known",
            ),
            models.CheckConstraint(
                condition=Q(held__gte=0, cost__gte=0), name="poketalk_server_call_money"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["ending", "ended"]) | Q(held=0),
                name="poketalk_server_ended_holds_nothing",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "turn", "id"], name="poketalk_server_by_turn"),
            models.Index(fields=["created_at"], name="poketalk_server_created"),
            models.Index(fields=["account", "-id"], name="poketalk_server_by_account"),
            models.Index(fields=["custom", "account"], name="poketalk_server_custom"),
            models.Index(fields=["account", "charged_at", "id"], name="poketalk_server_charged"),
            models.Index(fields=["from_number", "-id"], name="poketalk_server_caller"),
            models.Index(fields=["to_number", "-id"], name="poketalk_server_callee"),
            models.Index(fields=["hangup_cause", "-id"], name="poketalk_server_cause"),
            models.Index(
                fields=["final_event_due_at"],
                name="poketalk_server_events_due",
                condition=Q(final_event_due_at__isnull=False),
            ),
        ]

    def name_with(self, number: Callable[..., str]) -> str:
        callee = number(self.to_number, self.to_extension)
        return f"{number(self.from_number)} → {callee}"

    def save(self, **options: Any) -> None:
        """Save, and notify the switches of a new call."""
        is_new = self._state.adding
        super().save(**options)
        if is_new:
            notify.send(Notification.QUEUED)

    def request_hang_up(self, now: datetime | Combinable) -> bool:
        """Request that the switch ends the call. False if it has ended or a request is pending.
        `now` is the database's time.
        """
        requested = bool(
            Call.objects.live()
            .filter(pk=self.pk, hangup_requested_at=None)
            .update(hangup_requested_at=now)
        )
        if requested:
            notify.send(Notification.HANG_UP)
        return requested


def keep_if_live(collector: Collector, field: Any, legs: Any, using: str) -> None:
    """Like `models.SET_NULL`, but `ProtectedError` if a leg is live: another switch could not hang
    it up without its gateway.
    """
    live = list(legs.filter(ended_at=None, call__state__in=Call.LIVE)[:MAX_PROTECTED])
    if live:
        raise ProtectedError("A gateway with live calls cannot be deleted.", set(live))
    models.SET_NULL(collector, field, legs, using)


keep_if_live.lazy_sub_objs = True  # type: ignore[attr-defined]  # do not load all legs


class Leg(NamedByNumbers):
    """One attempt to ring a phone through a gateway, with the tariffs in force at the time."""

    call = models.ForeignKey(
        Call, verbose_name=_("call"), on_delete=models.CASCADE, related_name="legs", db_index=False
    )
    side = models.CharField(_("leg"), max_length=1, choices=Side.choices)
    attempt = models.PositiveSmallIntegerField(_("attempt"), default=1)
    gateway = models.ForeignKey(
        Gateway, verbose_name=_("gateway"), on_delete=keep_if_live, null=True, related_name="+"
    )
    number = models.CharField(_("number"), max_length=15)
    destination = models.CharField(_("destination"), max_length=100, blank=True, default="")
    price_per_minute = models.DecimalField(_("price per minute"), max_digits=12, decimal_places=6)
    connect_fee = models.DecimalField(_("connect fee"), max_digits=12, decimal_places=6)
    initial_increment = models.PositiveSmallIntegerField(_("minimum billed seconds"))
    subsequent_increment = models.PositiveSmallIntegerField(_("billing increment"))
    minimum_charge = models.DecimalField(
        _("minimum charge"), max_digits=12, decimal_places=6, default=Decimal(0)
    )
    initiated_at = models.DateTimeField(_("initiated"), db_default=DatabaseNow())
    ringing_at = models.DateTimeField(_("ringing"), null=True, blank=True)
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    hangup_cause = models.CharField(_("hang-up cause"), max_length=40, blank=True)
    sip_status = models.PositiveSmallIntegerField(
        _("SIP status"), default=0, help_text=_("The final response. 0: none.")
    )
    q850 = models.PositiveSmallIntegerField(
        _("Q.850 cause"), default=0, help_text=_("From the network. 0: none.")
    )
    dialog = models.TextField(editable=False, blank=True)  # for another switch to hang up the leg
    duration = models.PositiveIntegerField(
        _("duration"), default=0, help_text=_("Seconds from its answer.")
    )
    cost = models.DecimalField(_("cost"), max_digits=15, decimal_places=3, default=Decimal(0))
    # The gateway's charges to us. All None if it has no buy rate for the number.
    buy_price_per_minute = models.DecimalField(
        _("buy price per minute"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    buy_connect_fee = models.DecimalField(
        _("buy connect fee"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    buy_initial_increment = models.PositiveSmallIntegerField(
        _("buy minimum billed seconds"), null=True, blank=True
    )
    buy_subsequent_increment = models.PositiveSmallIntegerField(
        _("buy billing increment"), null=True, blank=True
    )
    buy_minimum_charge = models.DecimalField(  # None also in legs from before there were any
        _("buy minimum charge"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    buy_cost = models.DecimalField(
        _("buy cost"), max_digits=15, decimal_places=3, null=True, blank=True
    )

    class Meta:
        verbose_name = _("leg")
        verbose_name_plural = _("legs")
        ordering = ["call", "side", "attempt"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["call", "side", "attempt"], name="poketalk_server_leg_attempt"
            )
        ]
        indexes = [
            models.Index(fields=["initiated_at"], name="poketalk_server_initiated"),
            models.Index(fields=["number", "-id"], name="poketalk_server_leg_number"),
            models.Index(fields=["hangup_cause", "-id"], name="poketalk_server_leg_cause"),
        ]

    def name_with(self, number: Callable[[str], str]) -> str:
        return f"{self.side}{self.attempt} {number(self.number)}"

    @property
    def tariff(self) -> Tariff:
        """The tariff at the time of the attempt, even if the rate has changed since."""
        return Tariff.of(self)

    @property
    def buy_tariff(self) -> Tariff | None:
        """The gateway's price at the time; None if it had no buy rate for the number."""
        return None if self.buy_price_per_minute is None else Tariff.of(self, "buy_")

    @property
    def margin(self) -> Decimal | None:
        """The cost to the account minus the cost to us; None if the latter is unknown."""
        return None if self.buy_cost is None else self.cost - self.buy_cost
