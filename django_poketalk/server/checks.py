"""System checks of the service's settings. None of them touches the database."""

from __future__ import annotations

import importlib.util
import ipaddress
from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from django_poketalk import appsettings
from django_poketalk.client_address import networks

from .conf import Settings, settings

NAME = "POKETALK_SERVER"
ID = "poketalk_server"
AT_LEAST_ONE = (
    "max_duration",
    "hold",
    "queue_timeout",
    "lease",
    "event_interval",
    "event_connections_per_host",
)


def register() -> None:
    """Have `manage.py check` look at the service."""
    checks.register(check_settings)
    checks.register(check_aiohttp)
    checks.register(check_networks_deployed, deploy=True)


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """E001 and E002 for keys and types; only when these are right, E003 to E006 for values."""
    found = appsettings.check(NAME, Settings, ID)
    if found:
        return found
    return [
        *_network_list("trusted_proxies", "E003"),
        *_network_list("event_networks", "E004"),
        *_ranges(),
        *_ports(),
        *_trusts_everybody(),
    ]


def check_aiohttp(**_kwargs: Any) -> list[checks.CheckMessage]:
    """E007: the switch sends events with aiohttp, which the extra `server` brings."""
    if importlib.util.find_spec("aiohttp") is not None:
        return []
    return [
        checks.Error(
            "The service needs aiohttp, which is not installed.",
            hint='Install it with: python -m pip install "django-poketalk[server]"',
            id=f"{ID}.E007",
        )
    ]


def check_networks_deployed(**_kwargs: Any) -> list[checks.CheckMessage]:
    """W002: in production, events should not reach loopback or link-local addresses."""
    if appsettings.check(NAME, Settings, ID):
        return []
    return [
        checks.Warning(
            f"{NAME}['EVENT_NETWORKS'] lets customers' event URLs reach {text!r}, where this host"
            " or its cloud keeps services of its own.",
            hint="Name only the private networks in which customers' endpoints really are.",
            id=f"{ID}.W002",
        )
        for text in settings.event_networks
        if _parses(text) and _is_inside(ipaddress.ip_network(text, strict=False))
    ]


def _network_list(field: str, number: str) -> Iterator[checks.CheckMessage]:
    for text in getattr(settings, field):
        if not _parses(text):
            yield checks.Error(
                f"{NAME}[{field.upper()!r}] has {text!r}, which is no IP address or network.",
                hint="Write addresses or CIDR notation, e.g. '10.0.0.0/8' or '2001:db8::1'.",
                id=f"{ID}.{number}",
            )


def _ranges() -> Iterator[checks.CheckMessage]:
    for field in AT_LEAST_ONE:
        value = getattr(settings, field)
        if value < 1:
            yield checks.Error(
                f"{NAME}[{field.upper()!r}] is {value}.",
                hint="Make it at least 1.",
                id=f"{ID}.E005",
            )
    if not settings.event_timeout > 0:
        yield checks.Error(
            f"{NAME}['EVENT_TIMEOUT'] is {settings.event_timeout}.",
            hint="Make it more than 0 seconds.",
            id=f"{ID}.E005",
        )


def _ports() -> Iterator[checks.CheckMessage]:
    for port in settings.event_ports:
        if not 1 <= port <= 65535:
            yield checks.Error(
                f"{NAME}['EVENT_PORTS'] has {port}, which is no TCP port.",
                hint="Ports are 1 to 65535.",
                id=f"{ID}.E006",
            )


def _trusts_everybody() -> Iterator[checks.CheckMessage]:
    for text in settings.trusted_proxies:
        if _parses(text) and ipaddress.ip_network(text, strict=False).prefixlen == 0:
            yield checks.Warning(
                f"{NAME}['TRUSTED_PROXIES'] has {text!r}: everybody may claim any address.",
                hint="Name your proxies' own addresses, or keys can be used from anywhere.",
                id=f"{ID}.W001",
            )


def _parses(text: str) -> bool:
    try:
        networks([text])
    except ImproperlyConfigured:
        return False
    return True


def _is_inside(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    inside = ("127.0.0.0/8", "169.254.0.0/16") if network.version == 4 else ("::1/128", "fe80::/10")
    return any(network.overlaps(ipaddress.ip_network(text)) for text in inside)
