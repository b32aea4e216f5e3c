"""System checks of the service's settings and, where the database may be asked, its gateways."""

from __future__ import annotations

import importlib.util
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, router

from django_poketalk.shared import app_settings
from django_poketalk.shared.client_address import networks

from .conf import Settings, settings
from .models import Gateway

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
AT_LEAST_ONE_IF_ANY = ("switch_calls", "switch_calls_per_second")


def register() -> None:
    """Have `manage.py check` look at the service."""
    checks.register(check_settings)
    checks.register(check_aiohttp)
    checks.register(check_sippy, checks.Tags.database)
    checks.register(check_asterisks_deployed, checks.Tags.database, deploy=True)
    checks.register(check_networks_deployed, deploy=True)


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """E001 and E002 for keys and types; only when these are right, the others for values."""
    found = app_settings.check(NAME, Settings, ID)
    if found:
        return found
    return [
        *_network_list("trusted_proxies", "E003"),
        *_network_list("event_networks", "E004"),
        *_ranges(),
        *_ports(),
        *_own_address(),
        *_trusts_everybody(),
        *app_settings.check_time_zone(f"{ID}.E009"),
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


def check_sippy(
    databases: Sequence[str] | None = None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """W003: SIP gateways are passed over without sippy, which the extra `sip` brings."""
    if importlib.util.find_spec("sippy") is not None:
        return []
    used = bool(_active(Gateway.Kind.SIP, databases))
    return [
        checks.Warning(
            "There are active SIP gateways, but sippy is not installed: no call goes through them.",
            hint='Install it with: python -m pip install "django-poketalk[sip]"',
            id=f"{ID}.W003",
        )
    ] * used


def check_asterisks_deployed(
    databases: Sequence[str] | None = None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """W004: ARI's password goes along with every request, as plain text where that is http."""
    return [
        checks.Warning(
            f"The gateway {gateway} asks its Asterisk by http, and not on this machine:"
            " the password travels in the clear.",
            hint="Give it an https:// address, with tlsenable=yes in Asterisk's http.conf.",
            id=f"{ID}.W004",
        )
        for gateway in _active(Gateway.Kind.ASTERISK, databases)
        if _is_in_the_clear(gateway.ari_url)
    ]


def check_networks_deployed(**_kwargs: Any) -> list[checks.CheckMessage]:
    """W002: in production, events should not reach loopback or link-local addresses."""
    if app_settings.check(NAME, Settings, ID):
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


def _active(kind: str, databases: Sequence[str] | None) -> list[Gateway]:
    """The active gateways of a kind; none where the database may not be asked, or has no tables."""
    alias = router.db_for_read(Gateway)
    if alias not in (databases or ()):
        return []
    try:
        return list(Gateway.objects.using(alias).filter(kind=kind, is_active=True))
    except DatabaseError:  # before the first migration
        return []


def _is_in_the_clear(url: str) -> bool:
    """Whether what is sent there can be read on its way. What is no URL is sent nowhere."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "http" and not _is_here(parts.hostname)


def _is_here(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


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
    for field in AT_LEAST_ONE_IF_ANY:
        value = getattr(settings, field)
        if value is not None and value < 1:
            yield checks.Error(
                f"{NAME}[{field.upper()!r}] is {value}.",
                hint="Make it at least 1, or None for no limit.",
                id=f"{ID}.E005",
            )
    if settings.drain < 0:
        yield checks.Error(
            f"{NAME}['DRAIN'] is {settings.drain}.", hint="Make it 0 or more.", id=f"{ID}.E005"
        )
    if not settings.event_timeout > 0:
        yield checks.Error(
            f"{NAME}['EVENT_TIMEOUT'] is {settings.event_timeout}.",
            hint="Make it more than 0 seconds.",
            id=f"{ID}.E005",
        )


def _ports() -> Iterator[checks.CheckMessage]:
    named = [("EVENT_PORTS", port) for port in settings.event_ports]
    for name, port in [*named, ("SIP_PORT", settings.sip_port)]:
        if not 1 <= port <= 65535:
            yield checks.Error(
                f"{NAME}[{name!r}] has {port}, which is no port.",
                hint="Ports are 1 to 65535.",
                id=f"{ID}.E006",
            )


def _own_address() -> Iterator[checks.CheckMessage]:
    try:
        if settings.sip_address:
            ipaddress.ip_address(settings.sip_address)
    except ValueError:
        yield checks.Error(
            f"{NAME}['SIP_ADDRESS'] is {settings.sip_address!r}, which is no IP address.",
            hint="Name the address of the switch's host that trunks reach, without a port.",
            id=f"{ID}.E008",
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
