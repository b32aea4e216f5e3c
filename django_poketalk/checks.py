"""System checks: what is missing or mistaken in the settings, found before the first call. None of
them asks the database.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch
from django.utils.module_loading import import_string

from . import appsettings, events
from .backends import get_backend
from .backends.click2call import Click2CallBackend
from .client_address import networks
from .conf import Settings, settings
from .models import CallRequest
from .protocol import eventurl

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def register() -> None:
    """Register all of them with Django; those about production run with `check --deploy`."""
    checks.register(check_settings, "poketalk")
    checks.register(check_encryption, "poketalk", deploy=True)


def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """The keys first; what the values mean is looked at once they have the right types."""
    return check_keys() or [*check_service(), *check_events(), *check_veto_rules()]


def check_keys() -> list[checks.CheckMessage]:
    """E001, E002: unknown keys and values of a wrong type."""
    return appsettings.check("POKETALK", Settings, "poketalk")


def check_service() -> list[checks.CheckMessage]:
    """E003: no usable backend. W001, W002: no service, or no key, to place calls with."""
    try:
        backend = get_backend()
    except ImproperlyConfigured as error:
        return [
            checks.Error(str(error), hint="Name a subclass of BaseBackend.", id="poketalk.E003")
        ]
    if not isinstance(backend, Click2CallBackend):
        return []
    found: list[checks.CheckMessage] = []
    if not settings.url:
        found.append(
            checks.Warning(
                "POKETALK['URL'] is not set: no call can be placed.",
                hint="Name the service's URL, e.g. https://calls.example.com/index.php/api/click2call.",
                id="poketalk.W001",
            )
        )
    if not settings.api_key:
        found.append(
            checks.Warning(
                "POKETALK['API_KEY'] is not set: the service will refuse every call.",
                hint="Set the key that the service's operator gave you, from the environment.",
                id="poketalk.W002",
            )
        )
    return found


def check_events() -> list[checks.CheckMessage]:
    """E004: the event URL is too long. E005: a trusted proxy that is none. E006: no route. W003: no
    events at all.
    """
    found: list[checks.CheckMessage] = []
    try:
        networks(settings.trusted_proxies)
    except ImproperlyConfigured as error:
        found.append(
            checks.Error(
                f"POKETALK['TRUSTED_PROXIES']: {error}",
                hint="List addresses or CIDR networks.",
                id="poketalk.E005",
            )
        )
    if not settings.event_base_url:
        found.append(
            checks.Warning(
                "POKETALK['EVENT_BASE_URL'] is not set: calls are placed blind, and no limit or"
                " hang-up can end them.",
                hint="Set the address under which the service reaches this site, e.g. https://crm.example.com.",
                id="poketalk.W003",
            )
        )
        return found
    try:
        events.event_url(_longest_call())
    except NoReverseMatch:
        found.append(
            checks.Error(
                "The event view has no URL.",
                hint="Add path('poketalk/', include('django_poketalk.urls')) to your urls.",
                id="poketalk.E006",
            )
        )
    except ImproperlyConfigured as error:
        found.append(
            checks.Error(
                str(error),
                hint=f"The protocol allows {eventurl.MAX_LENGTH} characters.",
                id="poketalk.E004",
            )
        )
    return found


def check_veto_rules() -> list[checks.CheckMessage]:
    """E007: a veto rule that is no function."""
    return [
        checks.Error(
            f"POKETALK['VETO_RULES']: {path!r} {problem}.",
            hint="Name functions that take a call and an event and return a reason or ''.",
            id="poketalk.E007",
        )
        for path in settings.veto_rules
        if (problem := _problem_with(path))
    ]


def check_encryption(**kwargs: Any) -> list[checks.CheckMessage]:
    """W004, W005: the key, or the events, would travel in the clear."""
    if check_keys():
        return []
    found: list[checks.CheckMessage] = []
    for key, url, ident in (
        ("URL", settings.url, "W004"),
        ("EVENT_BASE_URL", settings.event_base_url, "W005"),
    ):
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            found.append(
                checks.Warning(
                    f"POKETALK[{key!r}] is not encrypted: {url}",
                    hint="Use https, or the API key and what calls cost can be read and altered.",
                    id=f"poketalk.{ident}",
                )
            )
    return found


def _longest_call() -> CallRequest:
    """A call whose event URL is as long as it gets: the largest key and limits."""
    return CallRequest(pk=10**18, max_duration=2**31 - 1, max_debit=Decimal("999999999.999999"))


def _problem_with(path: str) -> str:
    try:
        rule = import_string(path)
    except (ImportError, ValueError) as error:
        return f"cannot be imported ({error})"
    return "" if callable(rule) else "is not a function"
