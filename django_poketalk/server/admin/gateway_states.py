"""The state of a gateway in the admin, as the live switches see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared.admin_names import named
from django_poketalk.shared.masked_numbers import MaskedNumbers, masked_record
from django_poketalk.shared.moments import moment

from ..database.clock import DatabaseNow
from ..models import Channel, Gateway, GatewayState
from ..models.gateway_states import health_of, with_health
from .display import NOTHING, NamesItsCall, ReadOnly, all_fields, may_see_numbers

WORDS: dict[bool | None, tuple[str, str | Promise]] = {
    True: ("good", _("up")),
    False: ("bad", _("down")),
    None: ("none", _("unknown")),
}


def badge(is_up: bool | None) -> str:
    """Whether a gateway is up, as a colored word."""
    kind, word = WORDS[is_up]
    return format_html('<span class="poketalk-state" data-state="{}">{}</span>', kind, word)


class GatewayStateColumns(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds the columns of a gateway's state."""

    def get_queryset(self, request: HttpRequest) -> Any:
        gateways = named(super().get_queryset(request), may_see_numbers(request))
        return with_health(gateways, DatabaseNow())

    @admin.display(description=_("state"))
    def state(self, gateway: Gateway) -> str:
        """Up, down, or unknown if no live switch has looked at it."""
        return badge(health_of(gateway).is_up)

    @admin.display(description=_("state"))
    def states(self, gateway: Gateway) -> str:
        """The state that each live switch sees, with the reason and since when."""
        whole = gateway.shows_numbers  # type: ignore[attr-defined]  # by `get_queryset`
        lines = format_html_join(
            "",
            "<li>{} {}</li>",
            ((badge(each.is_up), _sentence(each, whole)) for each in health_of(gateway).states),
        )
        return format_html("<ul>{}</ul>", lines) if lines else badge(None)

    @admin.display(description=_("channels in use"))
    def channels(self, gateway: Gateway) -> str:
        """The channels that calls use, of how many."""
        used = health_of(gateway).channels
        return f"{used} / {gateway.max_channels}" if gateway.max_channels else str(used)

    @admin.display(description=_("answer rate"))
    def answer_rate(self, gateway: Gateway) -> str:
        """The share of the last hour's legs that were answered."""
        rate = health_of(gateway).answer_rate
        return NOTHING if rate is None else f"{number_format(round(100 * rate), 0)} %"

    @admin.display(description=_("time to ring"))
    def time_to_ring(self, gateway: Gateway) -> str:
        """The mean seconds from dialing to ringing in the last hour."""
        time = health_of(gateway).time_to_ring
        return NOTHING if time is None else f"{number_format(round(time, 1), 1)} s"

    @admin.display(description=_("answered, time to ring"))
    def last_hour(self, gateway: Gateway) -> str:
        """The answer rate and the time to ring of the last hour."""
        found = (self.answer_rate(gateway), self.time_to_ring(gateway))
        return ", ".join(each for each in found if each != NOTHING) or NOTHING


@admin.register(GatewayState)
class GatewayStateAdmin(ReadOnly, MaskedNumbers, admin.ModelAdmin):  # type: ignore[type-arg]
    """The rows as the switches store them, including those of switches that have died."""

    masks: ClassVar[Mapping[str, str]] = {"problem": "masked_problem"}
    list_display = ("gateway", "switch", "is_up", "since", "problem", "channels")
    fields = all_fields(GatewayState)
    list_filter = ("is_up", ("gateway", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("gateway", "switch")
    masked_problem = masked_record("problem", _("problem"))


@admin.register(Channel)
class ChannelAdmin(NamesItsCall, ReadOnly):
    """The channels that calls have reserved on gateways with a limit."""

    list_display = ("gateway", "call_key", "side")
    list_filter = (("gateway", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("gateway",)


def _sentence(state: GatewayState, whole: bool) -> str:
    since = moment(state.since)
    if state.is_up:
        return gettext("since %(since)s, at %(switch)s") % {"since": since, "switch": state.switch}
    return gettext("since %(since)s, at %(switch)s: %(problem)s") % {
        "since": since,
        "switch": state.switch,
        "problem": state.problem if whole else state.masked_problem,
    }
