"""A switch's heartbeat in the database, with the states of its gateways as it sees them.

Other switches route around a gateway that is down; without the rows, all count as up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

from django.db import connection

from django_poketalk.server.database.clock import database_now
from django_poketalk.server.models import GatewayState, Switch

from .gateway_states import GatewayView

FORGET_AFTER = timedelta(days=1)  # how long rows of dead switches are kept
PROBLEM_LENGTH = 200


def beat(
    name: str,
    live_calls: int,
    gateways: Sequence[GatewayView] = (),
    problems: Sequence[str] = (),
) -> None:
    """Record that this switch is alive, how many calls it has, the states of its gateways, and why
    it takes no calls.
    """
    now = database_now()
    facts: dict[str, datetime | int | str] = {
        "seen_at": now,
        "live_calls": live_calls,
        "problems": ", ".join(problems)[:PROBLEM_LENGTH],
    }
    if not Switch.objects.filter(name=name).update(**facts):
        Switch.objects.create(name=name, version=_version(), started_at=now, **facts)
        Switch.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()
    _save_states(Switch.objects.get(name=name), gateways)


def _save_states(switch: Switch, gateways: Sequence[GatewayView]) -> None:
    rows = [_state(switch, gateway) for gateway in gateways]
    keys = ["switch", "gateway"]
    names_keys = connection.features.supports_update_conflicts_with_target
    GatewayState.objects.bulk_create(
        rows,
        update_conflicts=True,
        update_fields=[
            field.name
            for field in GatewayState._meta.concrete_fields
            if not field.primary_key and field.name not in keys
        ],
        unique_fields=keys if names_keys else None,
    )
    known = [row.gateway_id for row in rows]
    GatewayState.objects.filter(switch=switch).exclude(gateway__in=known).delete()


def _state(switch: Switch, gateway: GatewayView) -> GatewayState:
    figures = gateway.last_hour
    return GatewayState(
        switch=switch,
        gateway_id=gateway.gateway,
        is_up=gateway.is_up,
        since=gateway.since,
        problem=gateway.problem[:PROBLEM_LENGTH],
        channels=gateway.channels,
        legs=figures.legs,
        answered=figures.answered,
        rang=figures.rang,
        seconds_to_ring=figures.seconds_to_ring,
    )


def sign_off(name: str) -> None:
    """Record that this switch has stopped."""
    Switch.objects.filter(name=name).delete()


def _version() -> str:
    try:
        return version("django-poketalk")
    except PackageNotFoundError:  # run from a checkout
        return ""
