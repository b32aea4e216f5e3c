"""Who sees which calls: those of the own tenant, and those that are granted one by one."""

from __future__ import annotations

from typing import Any

from guardian.shortcuts import get_objects_for_user


def visible_calls(calls: Any, user: Any) -> Any:
    granted = get_objects_for_user(user, "poketalk.view_callrequest", with_superuser=False)
    return calls.filter(user__tenant=user.tenant) | calls.model.objects.filter(
        pk__in=[*granted.values_list("pk", flat=True)]
    )
