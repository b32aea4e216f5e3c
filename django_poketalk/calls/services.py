"""Chooses the service of each call: `POKETALK["SERVICE_FOR"]`, a function that takes a call and
returns an alias of `SERVICES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.utils.module_loading import import_string

from ..conf import DEFAULT_SERVICE, ServiceSettings, aliases, entry, service, settings
from ..models import CallRequest
from ..models.calls import CallRequestQuerySet
from . import subjects

Chooser = Callable[[CallRequest], str | None]


def choose(call: CallRequest) -> str:
    """The alias of this call's service: that which `SERVICE_FOR` returns, or the default one.

    Raises `ImproperlyConfigured` if there is no such service, and what the function raises, such as
    `CallRefused`.
    """
    path = settings.service_for
    if path is None:
        return aliases()[0]
    chooser: Chooser = import_string(path)
    alias = chooser(call) or DEFAULT_SERVICE
    if alias not in aliases():
        raise ImproperlyConfigured(
            f"POKETALK['SERVICE_FOR']: {path} chose {alias!r}, which is no service."
        )
    return alias


def region_for(user: Any, subject: Model | None = None) -> str | None:
    """The `DEFAULT_REGION` of the service for calls of this user about this object: the country of
    callees' numbers that are written without a country code.
    """
    if not any("DEFAULT_REGION" in entry(alias) for alias in aliases()):
        return settings.default_region
    return settings_for(user, subject).default_region


def settings_for(user: Any, subject: Model | None = None) -> ServiceSettings:
    """The settings of the service for calls of this user about this object. The call that
    `SERVICE_FOR` gets has no numbers yet.
    """
    call = CallRequest(user=user if user is not None and user.pk is not None else None)
    subjects.remember(call, subject)
    return service(choose(call))


def partition(calls: CallRequestQuerySet) -> Iterator[tuple[str, CallRequestQuerySet]]:
    """The aliases of the services, each with its calls. Those of services that are not configured
    any more are among those of the default one.
    """
    others = [alias for alias in aliases() if alias != DEFAULT_SERVICE]
    yield DEFAULT_SERVICE, calls.exclude(service__in=others) if others else calls
    for alias in others:
        yield alias, calls.filter(service=alias)
