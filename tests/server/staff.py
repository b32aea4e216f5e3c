"""Clients of staff, the URLs of admin pages, and the admin's history."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse


def page(model: type[Any], action: str, *args: Any) -> str:
    """The URL of an admin page of this model."""
    return reverse(f"admin:poketalk_server_{model._meta.model_name}_{action}", args=args)


def staff(*codenames: str) -> Client:
    """The client of a logged-in member of staff with only these permissions of the service."""
    users: Any = get_user_model()
    user = users.objects.create_user(f"staff {users.objects.count()}", is_staff=True)
    found = Permission.objects.filter(
        content_type__app_label="poketalk_server", codename__in=codenames
    )
    assert found.count() == len(codenames)
    user.user_permissions.set(found)
    client = Client()
    client.force_login(user)
    return client


def history(row: Any) -> list[str]:
    """The messages of the admin's history of this row, newest first."""
    entries = LogEntry.objects.filter(
        content_type__app_label="poketalk_server",
        content_type__model=row._meta.model_name,
        object_id=str(row.pk),
    )
    return [entry.get_change_message() for entry in entries.order_by("-pk")]
