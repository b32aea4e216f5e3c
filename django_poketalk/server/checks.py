"""System checks of the service's settings and, if database checks are enabled, of its gateways."""

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
from .routing import passwords

NAME = "POKETALK_SERVER"
ID = "poketalk_server"
AT_LEAST_ONE = (
    "max_duration",
    "hold",
    "queue_timeout",
    "lease",
    "event_interval",
    "event_connections_per_host",
    "test_calls_per_hour",
)
AT_LEAST_ONE_IF_ANY = ("switch_calls", "switch_calls_per_second")


@checks.register
def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """E001 and E002 for keys and types. If there are none, the other checks for values."""
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


@checks.register
def check_extra(**_kwargs: Any) -> list[checks.CheckMessage]:
    """E007: the service requires the packages of the extra `server`."""
    return [
        checks.Error(
            f"The service requires {package}, which is not installed.",
            hint='Install it with: python -m pip install "django-poketalk[server]"',
            id=f"{ID}.E007",
        )
        for module, package in (("aiohttp", "aiohttp"), ("import_export", "django-import-export"))
        if importlib.util.find_spec(module) is None
    ]


@checks.register(checks.Tags.database)
def check_sippy(
    databases: Sequence[str] | None = None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """W003: SIP gateways require sippy, from the extra `sip`."""
    if importlib.util.find_spec("sippy") is not None or not _active(Gateway.Kind.SIP, databases):
        return []
    return [
        checks.Warning(
            "Active SIP gateways are skipped, because sippy is not installed.",
            hint='Install it with: python -m pip install "django-poketalk[sip]"',
            id=f"{ID}.W003",
        )
    ]


@checks.register(checks.Tags.database)
def check_password_variables(
    databases: Sequence[str] | None = None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """W005: switches read only variables that are meant for passwords of gateways."""
    return [
        checks.Warning(
            f"The gateway {gateway} has no password: {gateway.password_variable} is not read.",
            hint=f"Use a variable that begins with {passwords.PREFIX}, or list it in"
            f" {NAME}['GATEWAY_PASSWORD_VARIABLES'].",
            id=f"{ID}.W005",
        )
        for kind in (Gateway.Kind.SIP, Gateway.Kind.ASTERISK)
        for gateway in _active(kind, databases)
        if gateway.password_variable and not passwords.is_allowed(gateway.password_variable)
    ]


@checks.register(checks.Tags.database, deploy=True)
def check_asterisks_deployed(
    databases: Sequence[str] | None = None, **_kwargs: Any
) -> list[checks.CheckMessage]:
    """W004: requests to ARI contain its password, which http sends as plain text."""
    return [
        checks.Warning(
            f"The gateway {gateway} sends its password to another host over http, unencrypted.",
            hint="Use an https:// address, and set tlsenable=yes in Asterisk's http.conf.",
            id=f"{ID}.W004",
        )
        for gateway in _active(Gateway.Kind.ASTERISK, databases)
        if _is_in_the_clear(gateway.ari_url)
    ]


@checks.register(deploy=True)
def check_networks_deployed(**_kwargs: Any) -> list[checks.CheckMessage]:
    """W002: in production, events should not be sent to loopback or link-local addresses."""
    if app_settings.check(NAME, Settings, ID):
        return []
    return [
        checks.Warning(
            f"{NAME}['EVENT_NETWORKS'] lets customers' event URLs reach {text!r}, which may have"
            " internal services of this host or its cloud.",
            hint="List only the private networks of your customers' endpoints.",
            id=f"{ID}.W002",
        )
        for text in settings.event_networks
        if _parses(text) and _is_inside(ipaddress.ip_network(text, strict=False))
    ]


def _active(kind: str, databases: Sequence[str] | None) -> list[Gateway]:
    """The active gateways of a kind; none if the database is not checked or not migrated."""
    alias = router.db_for_read(Gateway)
    if alias not in (databases or ()):
        return []
    try:
        return list(Gateway.objects.using(alias).filter(kind=kind, is_active=True))
    except DatabaseError:  # before the first migration
        return []


def _is_in_the_clear(url: str) -> bool:
    """Whether requests to this URL leave the host unencrypted. False for an invalid URL."""
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
                f"{NAME}[{field.upper()!r}] has {text!r}, which is not an IP address or network.",
                hint="Use addresses or CIDR notation, such as '10.0.0.0/8' or '2001:db8::1'.",
                id=f"{ID}.{number}",
            )


def _ranges() -> Iterator[checks.CheckMessage]:
    for field in AT_LEAST_ONE:
        if getattr(settings, field) < 1:
            yield _out_of_range(field, "Set it to at least 1.")
    for field in AT_LEAST_ONE_IF_ANY:
        value = getattr(settings, field)
        if value is not None and value < 1:
            yield _out_of_range(field, "Set it to at least 1, or to None for no limit.")
    for field in ("drain", "sip_check_interval"):
        if getattr(settings, field) < 0:
            yield _out_of_range(field, "Set it to 0 or more.")
    if settings.forget_numbers_after is not None and settings.forget_numbers_after < 1:
        yield _out_of_range("forget_numbers_after", "Set it to at least 1 day, or to None.")
    if not settings.event_timeout > 0:
        yield _out_of_range("event_timeout", "Set it to more than 0 seconds.")


def _out_of_range(field: str, hint: str) -> checks.CheckMessage:
    text = f"{NAME}[{field.upper()!r}] is {getattr(settings, field)}."
    return checks.Error(text, hint=hint, id=f"{ID}.E005")


def _ports() -> Iterator[checks.CheckMessage]:
    named = [("EVENT_PORTS", port) for port in settings.event_ports]
    for name, port in [*named, ("SIP_PORT", settings.sip_port)]:
        if not 1 <= port <= 65535:
            yield checks.Error(
                f"{NAME}[{name!r}] has {port}, which is not a port.",
                hint="Use ports from 1 to 65535.",
                id=f"{ID}.E006",
            )


def _own_address() -> Iterator[checks.CheckMessage]:
    try:
        if settings.sip_address:
            ipaddress.ip_address(settings.sip_address)
    except ValueError:
        yield checks.Error(
            f"{NAME}['SIP_ADDRESS'] is {settings.sip_address!r}, which is not an IP address.",
            hint="Set the IP address of the switch's host that trunks can reach, without a port.",
            id=f"{ID}.E008",
        )


def _trusts_everybody() -> Iterator[checks.CheckMessage]:
    for text in settings.trusted_proxies:
        if _parses(text) and ipaddress.ip_network(text, strict=False).prefixlen == 0:
            yield checks.Warning(
                f"{NAME}['TRUSTED_PROXIES'] has {text!r}: any client can claim any address.",
                hint="List only your proxies' addresses, or keys can be used from anywhere.",
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
