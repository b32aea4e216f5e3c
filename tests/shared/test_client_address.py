"""Who is asking, behind the project's own proxies and no others."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.shared.client_address import client_address, networks

PROXIES = ("10.0.0.0/8", "2001:db8:1::/48")
outsiders = st.ip_addresses(v=4).filter(lambda address: not str(address).startswith("10."))


def seen(remote: str, forwarded: str | None = None, trusted: tuple[str, ...] = PROXIES) -> str:
    meta = {"REMOTE_ADDR": remote}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(meta, trusted)


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # not our proxy: its word is nothing
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # the leftmost is a claim
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6,198.51.100.1 ,\t10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),  # what does not parse ends the walk
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:1::1", "2001:DB8:2:0::1", "2001:db8:2::1"),
        ("", "198.51.100.1", ""),  # a Unix socket proves nothing
        ("nonsense", "198.51.100.1", ""),
    ],
)
def test_the_walk_ends_at_the_first_address_that_is_not_a_trusted_proxy(
    remote: str, forwarded: str | None, expected: str
) -> None:
    assert seen(remote, forwarded) == expected


@given(outsiders, st.lists(st.ip_addresses().map(str) | st.text(max_size=20), max_size=5))
def test_nothing_that_a_client_claims_changes_who_it_is(client: object, claims: list[str]) -> None:
    behind_proxy = ", ".join([*claims, str(client)])
    assert seen("10.0.0.1", behind_proxy) == str(client)
    assert seen(str(client), ", ".join(claims)) == str(client)


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert seen("10.0.0.1", "198.51.100.1", trusted=()) == "10.0.0.1"


def test_a_bad_network_is_named() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'10\.0\.0\.0/33'"):
        networks(["10.0.0.0/8", "10.0.0.0/33"])
