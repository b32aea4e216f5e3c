"""Backends, which send call requests: the base class (`base`), the backend for a Click-2-Call
service (`click2call`, over `http`; its query API is in `query_api`), and one for tests (`locmem`).
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import aliases, service
from .base import Answer, BaseBackend, Order, Sent, ServiceCall, Verdict, WebhookEvent

__all__ = [
    "Answer",
    "BaseBackend",
    "Order",
    "Sent",
    "ServiceCall",
    "Verdict",
    "WebhookEvent",
    "can_ask",
    "get_backend",
    "receives_webhooks",
]


def get_backend(alias: str) -> BaseBackend:
    """The backend of the service with this alias. Raises `ImproperlyConfigured` if there is no such
    service, or if its `BACKEND` is invalid.
    """
    if alias not in aliases():
        raise ImproperlyConfigured(f"POKETALK['SERVICES'] has no service {alias!r}.")
    path = service(alias).backend
    try:
        backend = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"The BACKEND {path!r} of the service {alias!r} cannot be imported: {error}"
        ) from error
    if not (isinstance(backend, type) and issubclass(backend, BaseBackend)):
        raise ImproperlyConfigured(
            f"The BACKEND {path!r} of the service {alias!r} is not a BaseBackend."
        )
    return backend(alias)


def can_ask(alias: str) -> bool:
    """Whether this service can be asked about its calls. False if it is not configured any more."""
    return alias in aliases() and get_backend(alias).can_ask


def receives_webhooks(alias: str) -> bool:
    """Whether this service reports by webhooks."""
    return alias in aliases() and get_backend(alias).receives_webhooks
