"""The addresses of a trunk: SRV and A records, in turn (RFC 3263)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import dns.asyncresolver
import pytest

from django_poketalk.server.models import Call
from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.sip import addresses, gateway, health
from django_poketalk.server.switch.gateways.sip import leg as sip_leg
from django_poketalk.server.switch.gateways.sip.addresses import TrunkAddresses
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from tests.server.switch.conftest import closing, ended, eventually, serve

from .conftest import A, B, SipService, leg
from .dns_server import DnsServer, running_dns_server
from .peer import Peer, Script, running_peer

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NAME = "trunk.test"
SRV = f"_sip._udp.{NAME}"

Hosts = dict[str, list[str]]


@pytest.fixture
def dns_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    with running_dns_server() as server:
        monkeypatch.setattr(dns.asyncresolver, "default_resolver", server.resolver())
        yield server


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """The names with an address, and their addresses; others have none."""
    known: Hosts = {}

    def getaddrinfo(host: str, port: int, *options: Any) -> list[tuple[Any, ...]]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (each, port)) for each in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


def look_up(host: str, port: int | None = None) -> list[tuple[str, int]]:
    return asyncio.run(TrunkAddresses().of(SipTrunk(host, port)))


def test_an_address_is_not_looked_up(dns_server: DnsServer) -> None:
    assert look_up("192.0.2.1") == [("192.0.2.1", 5060)]
    assert look_up("192.0.2.1", 5080) == [("192.0.2.1", 5080)]
    assert dns_server.queries == []


def test_a_name_with_a_port_has_only_addresses(dns_server: DnsServer, hosts: Hosts) -> None:
    dns_server.records[SRV] = ["1 1 5090 other.test."]
    hosts[NAME] = ["192.0.2.1", "192.0.2.2"]

    assert look_up(NAME, 5060) == [("192.0.2.1", 5060), ("192.0.2.2", 5060)]
    assert dns_server.queries == []


def test_a_name_without_a_port_has_the_servers_of_its_srv_record_by_priority(
    dns_server: DnsServer, hosts: Hosts
) -> None:
    dns_server.records[SRV] = [
        "20 1 5062 b.test.",
        "10 1 5061 a.test.",
        "30 1 5063 gone.test.",
    ]
    hosts |= {"a.test": ["192.0.2.1", "192.0.2.2"], "b.test": ["192.0.2.3"], NAME: ["192.0.2.9"]}

    assert look_up(NAME) == [("192.0.2.1", 5061), ("192.0.2.2", 5061), ("192.0.2.3", 5062)]


def test_servers_of_one_priority_are_shuffled_by_weight(
    dns_server: DnsServer, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses.random, "random", addresses.random.Random(1).random)
    dns_server.records[SRV] = ["1 3 5061 a.test.", "1 1 5062 a.test.", "1 0 5063 a.test."]
    hosts["a.test"] = ["192.0.2.1"]

    async def first_ports() -> Counter[int]:
        trunk_addresses = TrunkAddresses()
        orders = [await trunk_addresses.of(SipTrunk(NAME)) for _ in range(1000)]
        assert all(len(order) == 3 for order in orders)
        return Counter(order[0][1] for order in orders)

    first = asyncio.run(first_ports())

    assert 700 < first[5061] < 800
    assert 200 < first[5062] < 300
    assert first[5063] < 30


def test_a_name_without_an_srv_record_has_its_addresses_and_the_default_port(
    dns_server: DnsServer, hosts: Hosts
) -> None:
    hosts[NAME] = ["192.0.2.1"]

    assert look_up(NAME) == [("192.0.2.1", 5060)]
    assert dns_server.queries == [SRV]


@pytest.mark.parametrize("record", ["0 0 0 .", "1 1 5060 gone.test."])
def test_a_name_without_any_server_is_an_error(
    dns_server: DnsServer, hosts: Hosts, record: str
) -> None:
    dns_server.records[SRV] = [record]
    hosts[NAME] = ["192.0.2.1"]

    with pytest.raises(OSError, match=r"SIP|address"):
        look_up(NAME)


def test_a_call_does_not_wait_for_dns_once_a_name_has_been_found(
    dns_server: DnsServer, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New records replace the old ones, and an outage of DNS costs nothing."""
    monkeypatch.setattr(addresses, "FRESH", 0.0)
    monkeypatch.setattr(addresses, "SRV_TIMEOUT", 0.2)
    dns_server.records[SRV] = ["1 1 5061 a.test."]
    hosts["a.test"] = ["192.0.2.1"]
    trunk, old, new = SipTrunk(NAME), [("192.0.2.1", 5061)], [("192.0.2.1", 5062)]

    async def use() -> None:
        found = TrunkAddresses()
        assert await found.of(trunk) == old
        dns_server.answers = False
        for _ in range(3):
            assert await asyncio.wait_for(found.of(trunk), 0.1) == old
            await asyncio.gather(*found._lookups.values(), return_exceptions=True)
        dns_server.answers = True
        dns_server.records[SRV] = ["1 1 5062 a.test."]
        await found.of(trunk)
        await asyncio.gather(*found._lookups.values())
        assert await found.of(trunk) == new
        await asyncio.gather(*found._lookups.values())

    asyncio.run(use())


def test_calls_at_the_same_time_share_a_lookup(dns_server: DnsServer, hosts: Hosts) -> None:
    hosts[NAME] = ["192.0.2.1"]

    async def use() -> None:
        found = TrunkAddresses()
        await asyncio.gather(*(found.of(SipTrunk(NAME)) for _ in range(50)))

    asyncio.run(use())

    assert dns_server.queries == [SRV]


# Calls


def busy(peer: Peer) -> None:
    peer.respond(peer.receive("INVITE"), "486 Busy Here")
    peer.receive("ACK")


def unavailable(peer: Peer) -> None:
    peer.respond(peer.receive("INVITE"), "503 Service Unavailable")
    peer.receive("ACK")


def silent(peer: Peer) -> None:
    peer.receive("INVITE")


def ring_and_fail(peer: Peer) -> None:
    peer.respond(invite := peer.receive("INVITE"), "180 Ringing")
    unavailable_to(peer, invite)


def unavailable_to(peer: Peer, invite: str) -> None:
    peer.respond(invite, "503 Service Unavailable")
    peer.receive("ACK")


Trunk = Callable[..., list[Future[None]]]


@pytest.fixture
def trunk(service: SipService, dns_server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> Trunk:
    """Runs these peers as the servers of one trunk, the first with the highest priority. Returns
    futures that are done when they end.
    """
    monkeypatch.setattr(sip_leg, "NO_REPLY", 0.5)
    monkeypatch.setattr(gateway, "CLOSE_TIMEOUT", 0.5)  # there is no response to CANCEL either

    def run(*scripts: Script, **fields: Any) -> list[Future[None]]:
        peers = [service.stack.enter_context(running_peer(script)) for script in scripts]
        dns_server.records[SRV] = [
            f"{priority} 1 {port} localhost."
            for priority, port in enumerate(port for port, _ in peers)
        ]
        row = service.gateway(A, 5060, **fields)
        type(row).objects.filter(pk=row.pk).update(host=NAME, port=None)
        return [done for _, done in peers]

    return run


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", [silent, unavailable])
def test_the_next_address_is_tried_if_one_fails(
    service: SipService, trunk: Trunk, first: Script
) -> None:
    trunk(first, first, busy)

    call = service.place()

    assert (call.status, call.hangup_cause) == (2, Cause.BUSY)
    assert [(row.side, row.sip_status) for row in call.legs.all()] == [("A", 486)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("last", "status"), [(silent, 408), (unavailable, 503)])
def test_the_next_gateway_is_tried_if_all_addresses_fail(
    service: SipService, trunk: Trunk, last: Script, status: int
) -> None:
    trunk(unavailable, last, priority=1)
    with running_peer(busy) as (port, _):
        service.gateway(A, port, priority=2)
        call = service.place()

    assert [row.sip_status for row in call.legs.all()] == [status, 486]


@pytest.mark.django_db(transaction=True)
def test_no_other_address_is_tried_after_the_phone_rang(service: SipService, trunk: Trunk) -> None:
    def idle(peer: Peer) -> None:
        assert done.wait(20)
        peer.expect_nothing(0.1)

    done = threading.Event()
    peers = trunk(ring_and_fail, idle)

    call = service.place()

    done.set()
    for peer in peers:
        peer.result(20)
    assert leg(call, Side.A).sip_status == 503


@pytest.mark.django_db(transaction=True)
def test_an_address_that_failed_is_tried_last_for_a_while(
    service: SipService, trunk: Trunk
) -> None:
    first_calls = []

    def fail_once(peer: Peer) -> None:
        first_calls.append(invite := peer.receive("INVITE"))
        unavailable_to(peer, invite)
        assert done.wait(20)
        peer.expect_nothing(0.1)

    def busy_thrice(peer: Peer) -> None:
        for _ in range(3):
            busy(peer)
        done.set()

    done = threading.Event()
    peers = trunk(fail_once, busy_thrice)
    service.gateway_to_nobody(B)
    calls: list[Call] = []

    async def one_after_the_other() -> None:
        for _ in range(3):
            await asyncio.to_thread(closing, lambda: calls.append(service.queue()))
            await eventually(ended(*calls))

    serve(Engine("test"), until=lambda: len(calls) == 3, during=one_after_the_other)

    for peer in peers:
        peer.result(20)
    assert len(first_calls) == 1
    assert all(leg(call, Side.A).sip_status == 486 for call in calls)


@pytest.mark.django_db(transaction=True)
def test_a_trunk_is_up_if_one_of_its_addresses_responds_to_probes(
    service: SipService, trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LEAST_TIMEOUT", 0.3)

    def dead(peer: Peer) -> None:
        for _ in range(2):
            peer.receive("OPTIONS")
        may_call.set()
        peer.receive("INVITE", skip=("OPTIONS",))

    def alive(peer: Peer) -> None:
        while not (request := peer.receive("", skip=("ACK",))).startswith("INVITE"):
            peer.respond(request, "200 OK")
        peer.respond(request, "486 Busy Here")
        peer.receive("ACK", skip=("OPTIONS",))

    may_call = threading.Event()
    trunk(dead, alive, keep_alive=1)
    service.gateway_to_nobody(B)
    calls: list[Call] = []

    async def during() -> None:
        assert await asyncio.to_thread(may_call.wait, 20)
        await asyncio.to_thread(closing, lambda: calls.append(service.queue()))
        await eventually(ended(*calls))

    serve(Engine("test"), until=lambda: bool(calls), during=during)

    assert leg(calls[0], Side.A).sip_status == 486
