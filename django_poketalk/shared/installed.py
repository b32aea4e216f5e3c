"""Which of the project's apps are installed."""

from __future__ import annotations

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured


def require_app(name: str, urls: str) -> None:
    """Raise `ImproperlyConfigured` if the app with the module `name`, whose `urls` are being
    included, is not in `INSTALLED_APPS`.
    """
    if not apps.is_installed(name):
        raise ImproperlyConfigured(
            f"The URLs {urls!r} are included, but {name!r} is not in INSTALLED_APPS: add it."
        )
