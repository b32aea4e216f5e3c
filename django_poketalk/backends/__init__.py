"""Backends, which send call requests: the base class (`base`), the backend for a Click-2-Call
service (`click2call`), and one for tests (`locmem`).
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import settings
from .base import Answer, BaseBackend, Order, Sent, Verdict

__all__ = ["Answer", "BaseBackend", "Order", "Sent", "Verdict", "get_backend"]


def get_backend() -> BaseBackend:
    """An instance of `POKETALK["BACKEND"]`. Raises `ImproperlyConfigured` if it is invalid."""
    path = settings.backend
    try:
        backend = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"POKETALK['BACKEND'] = {path!r} cannot be imported: {error}"
        ) from error
    if not (isinstance(backend, type) and issubclass(backend, BaseBackend)):
        raise ImproperlyConfigured(f"POKETALK['BACKEND'] = {path!r} is not a BaseBackend.")
    return backend()
