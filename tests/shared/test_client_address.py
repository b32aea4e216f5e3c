"""The client's address is read from `X-Forwarded-For` only behind trusted proxies."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.shared.client_address import client_address, networks

PROXIES = ("10.0.0.0/8", "2001:db8:1::/48")
outsiders = st.ip_addresses(v=4).filter(lambda address: not str(address).startswith("10."))


def address_of(
    remote: str, forwarded: str | None = None, trusted: tuple[str, ...] = PROXIES
) -> str:
    meta = {"REMOTE_ADDR": remote}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(meta, trusted)


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # not a trusted proxy
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        (
            "10.0.0.1",
            "6.6.6.6, 198.51.100.1",
            "198.51.100.1",
        ),  # the client may have written the leftmost one
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6,198.51.100.1 ,\t10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),  # an invalid address ends the search
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:1::1", "2001:DB8:2:0::1", "2001:db8:2::1"),
        ("", "198.51.100.1", ""),  # a Unix socket has no address
        ("nonsense", "198.51.100.1", ""),
    ],
)
def test_returns_the_first_address_that_is_not_a_trusted_proxy(
    remote: str, forwarded: str | None, expected: str
) -> None:
    assert address_of(remote, forwarded) == expected


@given(outsiders, st.lists(st.ip_addresses().map(str) | st.text(max_size=20), max_size=5))
def test_a_client_cannot_forge_its_address(client: object, claims: list[str]) -> None:
    behind_proxy = ", ".join([*claims, str(client)])
    assert address_of("10.0.0.1", behind_proxy) == str(client)
    assert address_of(str(client), ", ".join(claims)) == str(client)


def test_ignores_the_header_without_trusted_proxies() -> None:
    assert address_of("10.0.0.1", "198.51.100.1", trusted=()) == "10.0.0.1"


def test_names_an_invalid_network() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'10\.0\.0\.0/33'"):
        networks(["10.0.0.0/8", "10.0.0.0/33"])
