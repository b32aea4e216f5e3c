"""A switch's heartbeat in the database, for people and monitors. No call depends on it."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

from django_poketalk.server.database.clock import database_now
from django_poketalk.server.models import Switch

FORGET_AFTER = timedelta(days=1)  # how long rows of dead switches are kept


def beat(name: str, live_calls: int) -> None:
    """Record that this switch is alive, and how many calls it has."""
    now = database_now()
    facts = {"seen_at": now, "live_calls": live_calls}
    if not Switch.objects.filter(name=name).update(**facts):
        Switch.objects.create(name=name, version=_version(), started_at=now, **facts)
        Switch.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()


def sign_off(name: str) -> None:
    """Record that this switch has stopped."""
    Switch.objects.filter(name=name).delete()


def _version() -> str:
    try:
        return version("django-poketalk")
    except PackageNotFoundError:  # run from a checkout
        return ""
