"""The checks of the caller's side for `poketalk_doctor` and the admin's health page."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from django.core.exceptions import ImproperlyConfigured
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ..conf import DEFAULT_SERVICE, aliases
from ..shared.doctor import Check
from .events import check_events
from .people import check_permissions
from .service import check_service
from .workers import START_BROKER, check_broker, check_sweep, check_worker


def checks() -> Iterator[Check]:
    """All checks. Those of services other than the default one have the service's alias in their
    names, such as `service:acme`.
    """
    yield Check("broker", _("Broker"), check_broker, advice=START_BROKER)
    yield Check("worker", _("Worker"), check_worker, needs=("database", "broker"))
    yield Check("sweep", _("Beat or sweep"), check_sweep, needs=("database",))
    for alias in _services():
        suffix = "" if alias == DEFAULT_SERVICE else f":{alias}"
        service, events = (
            format_lazy("{} {}", title, suffix[1:]) if suffix else title
            for title in (_("Service"), _("Events"))
        )
        yield Check(f"service{suffix}", service, partial(check_service, alias))
        yield Check(f"events{suffix}", events, partial(check_events, alias), needs=("database",))
    yield Check("permissions", _("Permissions"), check_permissions, needs=("database",))


def _services() -> list[str]:
    """The aliases of the services, or only that of the default one if their settings cannot be
    read. The check of the settings reports that.
    """
    try:
        return aliases()
    except (AttributeError, TypeError, ImproperlyConfigured):
        return [DEFAULT_SERVICE]


__all__ = ["checks"]
