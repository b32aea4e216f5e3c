"""The client's IP address, behind the project's own proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from django.core.exceptions import ImproperlyConfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(meta: Mapping[str, str], trusted_proxies: Iterable[str]) -> str:
    """The client's address from a request's `META`, or "" if there is no valid one.

    Starts at `REMOTE_ADDR` and, as long as the address is a trusted proxy (an address or CIDR
    network), follows `X-Forwarded-For` from right to left. It stops at the first address that is
    not trusted, because the client can write anything to the left of it.
    """
    trusted = networks(trusted_proxies)
    hops = [*meta.get("HTTP_X_FORWARDED_FOR", "").split(","), meta.get("REMOTE_ADDR", "")]
    client = ""
    for hop in reversed(hops):
        try:
            address = ipaddress.ip_address(hop.strip())
        except ValueError:
            break
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        client = str(address)
        if not any(address in network for network in trusted):
            break
    return client


def networks(texts: Iterable[str]) -> list[Network]:
    """Networks from addresses or CIDR notation. `ImproperlyConfigured` names an invalid text."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{text!r} is not an IP address or network: {error}"
            ) from error
    return found
