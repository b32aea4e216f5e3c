"""A deployment does not start on a database with the demo's users, whose passwords are known, or
its API keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from contacts import demo_data
from django_poketalk.server.models import ApiKey


def refuse_demo_data() -> None:
    """Raise `ImproperlyConfigured` if this is a deployment whose database has the demo's data."""
    for error in check_demo_data(databases=["default"]):
        raise ImproperlyConfigured(f"{error.msg} {error.hint}")


def check_demo_data(
    databases: Sequence[str] | None = None, **kwargs: Any
) -> Iterable[CheckMessage]:
    """A system check, and so part of `migrate` and of `check --database default`."""
    if settings.DEBUG or "default" not in (databases or ()):
        return []
    try:
        found = _found()
    except DatabaseError:  # before the first migration, or without the database
        return []
    if not found:
        return []
    return [
        Error(
            f"The database contains data of the demo: {', '.join(found)}.",
            hint="Use another database, or delete these users and revoke these API keys first.",
            id="crm.E001",
        )
    ]


def _found() -> list[str]:
    """What the demo has left in the database."""
    users = get_user_model().objects.filter(username__in=demo_data.USERS).order_by("pk")
    found = [f"user {user}" for user in users if user.check_password(user.get_username())]
    usable = ApiKey.objects.usable()
    keys = usable.filter(label__in=demo_data.KEY_LABELS).select_related("account")
    return found + [f"API key {key.label!r} of account {key.account.name}" for key in keys]
