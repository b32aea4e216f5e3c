"""The states of gateways, as the running switches see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models.expressions import Combinable
from django.utils.translation import gettext_lazy as _

from django_poketalk.protocol import numbers

from .gateways import Gateway
from .switches import ALIVE_WITHIN, Switch


class GatewayStateQuerySet(models.QuerySet["GatewayState"]):
    """States by their age."""

    def current(self, now: datetime | Combinable) -> GatewayStateQuerySet:
        """The states that live switches see. `now` is the database's time."""
        return self.filter(switch__seen_at__gt=now - ALIVE_WITHIN)


class GatewayState(models.Model):
    """One gateway, as one switch sees it. It expires with the switch's heartbeat.

    `problem` is why it is down. The figures of the last hour are about legs that have ended:
    `seconds_to_ring` is the sum of the times from the dialing to the ringing of those that `rang`.
    """

    gateway = models.ForeignKey(
        Gateway, verbose_name=_("gateway"), on_delete=models.CASCADE, related_name="states"
    )
    switch = models.ForeignKey(
        Switch,
        verbose_name=_("switch"),
        on_delete=models.CASCADE,
        related_name="gateway_states",
        db_index=False,
    )
    is_up = models.BooleanField(_("up"))
    since = models.DateTimeField(_("since"))
    problem = models.CharField(_("problem"), max_length=200, blank=True)
    channels = models.PositiveIntegerField(_("channels in use"), default=0)
    legs = models.PositiveIntegerField(_("legs"), default=0)
    answered = models.PositiveIntegerField(_("answered"), default=0)
    rang = models.PositiveIntegerField(_("rang"), default=0)
    seconds_to_ring = models.FloatField(_("seconds to ring"), default=0)

    objects = GatewayStateQuerySet.as_manager()

    class Meta:
        verbose_name = _("state of a gateway")
        verbose_name_plural = _("states of gateways")
        ordering = ["gateway", "switch"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["switch", "gateway"], name="poketalk_server_gateway_state"
            )
        ]

    def __str__(self) -> str:
        return f"{self.gateway_id}: {'up' if self.is_up else self.masked_problem}"

    @property
    def masked_problem(self) -> str:
        """Why it is down, with phone numbers masked."""
        return numbers.mask_in_records(self.problem)


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """A gateway, given the current states that all live switches see. A gateway that no switch has
    looked at has none.
    """

    gateway: Gateway
    states: Sequence[GatewayState]

    @property
    def is_up(self) -> bool | None:
        """Whether at least one switch can make calls through it; None if nobody knows."""
        return any(state.is_up for state in self.states) if self.states else None

    @property
    def down(self) -> list[GatewayState]:
        """The states of the switches that cannot."""
        return [state for state in self.states if not state.is_up]

    @property
    def since(self) -> datetime | None:
        """Since when it is up at the first switch, or down at the last one."""
        times = [state.since for state in self.states if state.is_up]
        if times:
            return min(times)
        return max((state.since for state in self.states), default=None)

    @property
    def channels(self) -> int:
        """The channels that calls use."""
        return sum(state.channels for state in self.states)

    @property
    def answer_rate(self) -> float | None:
        """The share of the last hour's legs that were answered (ASR); None without legs."""
        legs = sum(state.legs for state in self.states)
        return sum(state.answered for state in self.states) / legs if legs else None

    @property
    def time_to_ring(self) -> float | None:
        """The mean seconds from dialing to ringing (PDD) in the last hour, or None if none rang."""
        rang = sum(state.rang for state in self.states)
        return sum(state.seconds_to_ring for state in self.states) / rang if rang else None


def with_health(gateways: models.QuerySet[Gateway], now: datetime | Combinable) -> Any:
    """The gateways, read with their health in one more query. `now` is the database's time."""
    current = GatewayState.objects.current(now).select_related("switch")
    return gateways.prefetch_related(models.Prefetch("states", current, to_attr="current_states"))


def health_of(gateway: Any) -> GatewayHealth:
    """The health of a gateway that was read by `with_health`."""
    return GatewayHealth(gateway, gateway.current_states)
