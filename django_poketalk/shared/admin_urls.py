"""URLs of admin pages, in the admin site of the current request."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.urls import NoReverseMatch, reverse


def admin_url(site: AdminSite, name: str, *args: Any) -> str:
    """The URL of this site's page `admin:<name>`, or "" if the site has no such page, for example
    because the model is not registered.
    """
    try:
        return reverse(f"admin:{name}", args=args, current_app=site.name)
    except NoReverseMatch:
        return ""
