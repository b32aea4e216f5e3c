"""Events are sent to public destinations only. No known attack reaches an internal address."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server import destinations
from django_poketalk.server.destinations import DestinationRefused
from django_poketalk.server.switch.delivery.resolver import CheckedResolver
from django_poketalk.server.switch.delivery.sender import Delivery, EventSender

PUBLIC = "93.184.216.34"

# The addresses of each name.
INTERNAL_NAMES = {
    "localhost": ["127.0.0.1"],
    "inner.example": ["10.0.0.7"],
    "inner6.example": ["fd00::7"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "half.example": [PUBLIC, "127.0.0.1"],
    "linklocal.example": ["fe80::1%1"],
    "metadata.example": ["169.254.169.254"],
}
INTERNAL = [
    # Loopback, private, shared, link-local, reserved
    "http://127.0.0.1/",
    "http://127.99.0.1/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data",
    "http://169.254.169.254/latest/meta-data",
    "http://168.63.129.16/metadata",
    "http://192.0.0.192/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    # IPv4 inside IPv6
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::1]/",
    "http://[2002:a00:1::]/",
    "http://[2001:0:7f00:1::1]/",
    # Unusual spellings of an address
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://127.0.0.01/",
    "http://1.2.3.4.5/",
    f"http://{int(socket.inet_aton(PUBLIC).hex(), 16)}/",
    # User names, schemes, ports, hosts that parsers read differently
    f"http://user@{PUBLIC}/",
    f"http://{PUBLIC}@127.0.0.1/",
    f"http://127.0.0.1:80@{PUBLIC}/",
    f"http://{PUBLIC}\\@127.0.0.1/",
    f"http://{PUBLIC}:22/",
    f"http://{PUBLIC}:0/",
    f"http://{PUBLIC}:65616/",  # 80 after an overflow
    f"http://{PUBLIC}:/",
    f"http://{PUBLIC}:8O/",
    "http://public.example:6379/",
    "ftp://public.example/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "//127.0.0.1/",
    "http:127.0.0.1/",
    "http:///etc/passwd",
    "http://[::1/",
    "http://[v1.a]/",
    "http://exa mple.com/",
    "http://example.com/\r\nX: y",
    "http://１２７.0.0.1/",
    "http://exämple.com/",
    "http://%31%32%37.0.0.1/",
    "http://$webcallid/?status=$status",
    "http://-/",
    "http://a..b/",
    "",
    # Names that resolve to such addresses
    *(f"http://{name}/" for name in INTERNAL_NAMES),
]
EXTERNAL = [
    f"http://{PUBLIC}/call_report.php?status=$status",
    "http://[2606:2800:220:1:248:1893:25c8:1946]/",
    "http://[64:ff9b::5db8:d822]/",
    "http://public.example/call_report.php?webcallid=$webcallid",
    "https://public.example./",
    "https://public.example:8443/",
    "HTTP://Public_Host.Example/",
]


def look_up(_resolver: object, host: str, port: int, _family: object) -> list[Any]:
    """Resolve a name in the tests, in place of a name server."""
    found = INTERNAL_NAMES.get(host, [PUBLIC])
    return [(0, 0, 0, "", (address, port)) for address in found]


def attempt(url: str) -> tuple[Delivery, list[Any]]:
    """Send an event to the URL. Returns the delivery and the addresses of attempted connections."""
    reached: list[Any] = []

    async def connect(_loop: object, _socket: object, address: Any) -> None:
        reached.append(address[:2])
        raise ConnectionRefusedError("Tests make no outgoing connections.")

    async def send() -> Delivery:
        loop = type(asyncio.get_running_loop())
        with (
            mock.patch.object(loop, "sock_connect", connect),
            mock.patch.object(CheckedResolver, "look_up", look_up),
        ):
            async with EventSender(timezone.now) as sender:
                return await sender.send(url, 1, Event(CallStatus.A_INITIATED, "web1"))

    return asyncio.run(send()), reached


@pytest.mark.parametrize("url", INTERNAL)
def test_never_connects_to_internal_destinations(url: str) -> None:
    delivery, reached = attempt(url)
    assert reached == []
    assert delivery.answer is None
    assert delivery.error


@pytest.mark.parametrize("url", EXTERNAL)
def test_connects_to_public_destinations(url: str) -> None:
    destinations.check(url)
    _, reached = attempt(url)
    assert len(reached) == 1
    assert not reached[0][0].startswith("127.")


@pytest.mark.parametrize("url", [url for url in INTERNAL if url[7:-1] not in INTERNAL_NAMES])
def test_refuses_internal_urls_at_admission(url: str) -> None:
    with pytest.raises(DestinationRefused) as refusal:
        destinations.check(url)
    assert str(refusal.value).endswith(".")


def test_a_url_may_have_at_most_255_characters() -> None:
    url = "http://public.example/".ljust(255, "a")
    destinations.check(url)
    with pytest.raises(DestinationRefused, match="256 characters"):
        destinations.check(url + "a")


def test_connects_to_the_checked_address_of_a_rebinding_name() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])

    def rebind(_resolver: object, _host: str, port: int, _family: object) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in next(answers)]

    with mock.patch(f"{__name__}.look_up", rebind):
        _, reached = attempt("http://rebinding.example/")
        assert reached == [(PUBLIC, 80)]
        delivery, reached = attempt("http://rebinding.example/")
        assert reached == []
        assert "not a public address" in delivery.error


def test_refuses_a_socket_to_an_internal_address() -> None:
    from django_poketalk.server.switch.delivery.resolver import checked_socket

    with pytest.raises(PermissionError):
        checked_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))


def test_event_networks_allow_any_port(settings: Any) -> None:
    settings.POKETALK_SERVER = {"EVENT_NETWORKS": ["127.0.0.0/8", "fd00::/16"]}
    for url in (
        "http://127.0.0.1:40123/",
        "http://[::ffff:127.0.0.1]:40123/",
        "http://[fd00::7]:1/",
        "http://localhost:40123/",
    ):
        destinations.check(url)
    assert attempt("http://localhost:40123/")[1] == [("127.0.0.1", 40123)]


def test_event_networks_do_not_allow_other_addresses(settings: Any) -> None:
    settings.POKETALK_SERVER = {"EVENT_NETWORKS": ["127.0.0.0/8"]}
    for url in ("http://10.0.0.1/", f"http://{PUBLIC}:22/", "http://localhost:70000/"):
        with pytest.raises(DestinationRefused):
            destinations.check(url)
    assert attempt("http://public.example:22/")[1] == []
    assert attempt("http://inner.example:40123/")[1] == []


def test_event_ports_replace_the_default_ports(settings: Any) -> None:
    settings.POKETALK_SERVER = {"EVENT_PORTS": [9000]}
    destinations.check("http://public.example:9000/")
    with pytest.raises(DestinationRefused, match=r"port 80\. Allowed: 9000"):
        destinations.check("http://public.example/")
