"""Permissions for single objects in the admin, as authentication backends may grant them."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import BaseModelAdmin
from django.contrib.auth import get_permission_codename
from django.http import HttpRequest


class ObjectPermissions(BaseModelAdmin):  # type: ignore[type-arg]
    """Also asks for the permission for the object, which Django's own admin does not. Lists still
    require the permission for all objects.
    """

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return (
            super().has_view_permission(request, obj)
            or self._has(request, "view", obj)
            or self._has(request, "change", obj)
        )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) or self._has(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) or self._has(request, "delete", obj)

    def _has(self, request: HttpRequest, action: str, obj: Any) -> bool:
        if obj is None:
            return False
        codename = get_permission_codename(action, self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}", obj)
