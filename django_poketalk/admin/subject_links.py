"""Links to the objects that calls are about, in the admin site of the page."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from ..shared.admin_pages import admin_url


def subject_url(site: AdminSite, request: HttpRequest, subject: Any) -> str:
    """The page of the object in this admin, "" if it has none or the user may not view it."""
    if not site.is_registered(type(subject)):
        return ""
    if not site.get_model_admin(type(subject)).has_view_or_change_permission(request, subject):
        return ""
    meta = subject._meta
    return admin_url(site, f"{meta.app_label}_{meta.model_name}_change", subject.pk)
