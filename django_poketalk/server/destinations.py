"""The hosts that events may be sent to. Customers choose their EventURLs, so the service refuses
addresses in its own network (server-side request forgery).

`check()` validates the URL itself, at admission and again before each request. A host name is
validated when it is resolved: the switch's resolver only returns addresses that `check_address()`
allows.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from django_poketalk.protocol.eventurl import MAX_LENGTH
from django_poketalk.shared.client_address import networks

from .conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443}

_VISIBLE = re.compile(r"[\x21-\x5b\x5d-\x7e]+")  # ASCII without controls, space and backslash
_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:@]+))(?::(?P<port>[0-9]+))?"
)
_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
# With such a last label, C libraries read the host as an IPv4 address: 2130706433, 0x7f.1.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
# Internal or reserved networks that some versions of `is_global` do not exclude.
_NOT_PUBLIC = networks(
    [
        "168.63.129.16",  # Azure's host
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "2001::/23",  # IETF protocol assignments with Teredo, RFC 6890
        "2001:db8::/32",  # documentation, RFC 3849
        "3fff::/20",  # documentation, RFC 9637
    ]
)


class DestinationRefused(ValueError):
    """Events may not be sent to this URL or address. The message says why."""


def check(url: str) -> None:
    """Raise `DestinationRefused` if the EventURL is invalid, without resolving its host.

    It must be http or https, with at most 255 visible ASCII characters, no user name or password,
    and one of the `event_ports`. An IP address must be in canonical form and allowed by
    `check_address`. If there are `event_networks`, a host name may have any port, because its
    address, which is unknown here, may be in one of them.
    """
    if len(url) > MAX_LENGTH:
        raise DestinationRefused(
            f"The EventURL has {len(url)} characters; {MAX_LENGTH} are allowed."
        )
    if not _VISIBLE.fullmatch(url):
        raise DestinationRefused("The EventURL has characters that must be percent-encoded.")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DestinationRefused(f"The EventURL cannot be parsed: {error}.") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise DestinationRefused("The EventURL does not begin with http:// or https://.")
    if "@" in parts.netloc:
        raise DestinationRefused("The EventURL has a user name or password.")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        raise DestinationRefused(f"The EventURL's host cannot be parsed: {parts.netloc!r}.")
    port = int(authority["port"] or DEFAULT_PORTS[parts.scheme])
    host = (authority["v6"] or authority["name"]).lower()
    if authority["v6"] or _NUMERIC_END.fullmatch(host.removesuffix(".")):
        check_address(host, port)
    else:
        _check_name(host, port)


def check_address(text: str, port: int) -> None:
    """Raise `DestinationRefused` unless events may be sent to this address, in canonical form.

    It must be in one of the `event_networks`, or be global unicast with one of the `event_ports`.
    An IPv6 address that embeds an IPv4 address (mapped, 6to4, NAT64) is treated as the latter.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise DestinationRefused(f"{text!r} is not a canonical IP address.") from error
    if any(
        candidate in network
        for network in networks(settings.event_networks)
        for candidate in (address, _embedded(address))
        if candidate is not None
    ):
        return
    if not _is_public(address):
        raise DestinationRefused(f"Events are not sent to {text}: it is not a public address.")
    if port not in settings.event_ports:
        raise DestinationRefused(_wrong_port(port))


def _check_name(host: str, port: int) -> None:
    name = host.removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise DestinationRefused(f"The EventURL's host is not a host name: {host!r}.")
    if port not in settings.event_ports and not (settings.event_networks and 0 < port < 65536):
        raise DestinationRefused(_wrong_port(port))


def _wrong_port(port: int) -> str:
    allowed = ", ".join(str(number) for number in settings.event_ports)
    return f"Events are not sent to port {port}. Allowed: {allowed}."


def _is_public(address: Address) -> bool:
    embedded = _embedded(address)
    if embedded is not None:
        return _is_public(embedded)
    if any(address in network for network in _NOT_PUBLIC) or address.is_multicast:
        return False
    return address.is_global and (address.version == 4 or address in _GLOBAL_UNICAST)


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address in an IPv6 address whose packets are routed to it, or None."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
