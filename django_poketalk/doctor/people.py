"""Whether anybody may place calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission, PermissionsMixin
from django.db.models import Q

from ..shared.doctor.checking import Finding, Options, info, ok, warning

GIVE = "Give users or groups the permission poketalk.place_call (“Can place calls”)."


def check_permissions(options: Options) -> Iterator[Finding]:
    """How many users have the permission to place calls by Django's own means."""
    users: Any = get_user_model()
    if not issubclass(users, PermissionsMixin):
        yield info("The users have no permissions of Django's own: your backend decides.")
        return
    permission = Permission.objects.filter(
        content_type__app_label="poketalk", codename="place_call"
    ).first()
    if permission is None:
        yield warning(
            "The permission poketalk.place_call does not exist.", "Run python manage.py migrate."
        )
        return
    active = users._default_manager.all()
    if any(field.name == "is_active" for field in users._meta.get_fields()):
        active = active.filter(is_active=True)
    given = Q(user_permissions=permission) | Q(groups__permissions=permission)
    count = active.filter(given).values("pk").distinct().count()
    if count:
        yield ok(f"Users who may place calls: {count}.")
    elif active.filter(is_superuser=True).exists():
        yield warning("Only superusers may place calls.", GIVE)
    else:
        yield warning("No user may place calls.", GIVE)
