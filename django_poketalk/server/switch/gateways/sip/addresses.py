"""The addresses of a trunk, in the order in which to try them (RFC 3263).

A host with a port has address records (A, or the hosts file). One without is looked up as the SRV
record of SIP over UDP first, and on the default port if there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from django_poketalk.server.routing.trunk import SipTrunk
from django_poketalk.shared.logs import get_logger

logger = get_logger(__name__)

PORT = 5060  # of SIP (RFC 3261, 19.1.2)
FRESH = 30.0  # seconds until a name is looked up again
SRV_TIMEOUT = 5.0  # seconds

Address = tuple[str, int]
Name = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Server:
    """A target of a SRV record (RFC 2782)."""

    host: str
    port: int
    priority: int = 0
    weight: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    servers: list[tuple[Server, list[Address]]]
    until: float  # by `time.monotonic`


class TrunkAddresses:
    """Looks up names without blocking, and remembers them. For one event loop.

    A call only waits for a name that has never been found. Later, addresses are used until new ones
    are found, so that no call fails while DNS does.
    """

    def __init__(self) -> None:
        self._found: dict[Name, _Found] = {}
        self._lookups: dict[Name, asyncio.Task[None]] = {}

    async def of(self, trunk: SipTrunk) -> list[Address]:
        """The addresses, at least one; servers of the same priority are shuffled by weight.

        Raises `OSError` if there are none.
        """
        if _is_address(trunk.host):
            return [(trunk.host, trunk.port or PORT)]
        name = (trunk.host, trunk.port)
        found = self._found.get(name)
        if found is None or found.until < time.monotonic():
            lookup = self._lookup(name)
            if found is None:
                await asyncio.shield(lookup)
        return _in_order(self._found[name].servers)

    async def hosts(self, trunks: Iterable[SipTrunk]) -> frozenset[str]:
        """The addresses of all these trunks, without ports. Those without any are left out."""
        found = await asyncio.gather(*map(self.of, trunks), return_exceptions=True)
        return frozenset(
            host for each in found if not isinstance(each, BaseException) for host, _ in each
        )

    def _lookup(self, name: Name) -> asyncio.Task[None]:
        if name not in self._lookups:
            task = self._lookups[name] = asyncio.create_task(self._refresh(name))
            task.add_done_callback(lambda done: self._end(name, done))
        return self._lookups[name]

    def _end(self, name: Name, task: asyncio.Task[None]) -> None:
        del self._lookups[name]
        if not task.cancelled() and (error := task.exception()):
            logger.warning("Cannot look up the SIP trunk %s: %s", name[0], error)

    async def _refresh(self, name: Name) -> None:
        host, port = name
        servers = [Server(host, port)] if port else await look_up_servers(host)
        found = [(server, await _addresses(server)) for server in servers]
        if not any(addresses for _, addresses in found):
            raise OSError(f"{host} has no address")
        self._found[name] = _Found(found, time.monotonic() + FRESH)


async def look_up_servers(host: str) -> list[Server]:
    """The targets of a host's SRV record, or the host itself without one.

    Raises `OSError` if there is no answer, or if the record says that there is no such service.
    """
    import dns.asyncresolver
    from dns.exception import DNSException
    from dns.resolver import NXDOMAIN, NoAnswer

    try:
        answer = await dns.asyncresolver.resolve(f"_sip._udp.{host}", "SRV", lifetime=SRV_TIMEOUT)
    except (NXDOMAIN, NoAnswer):
        return [Server(host, PORT)]
    except DNSException as error:
        raise OSError(f"no answer about its SRV record: {error}") from error
    found = [
        Server(str(each.target).rstrip("."), each.port, each.priority, each.weight)
        for each in answer
        if str(each.target) != "."
    ]
    if not found:
        raise OSError("its SRV record says that there is no SIP over UDP")
    return found


async def _addresses(server: Server) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            server.host, server.port, family=socket.AF_INET, type=socket.SOCK_DGRAM
        )
    except (OSError, UnicodeError) as error:
        logger.info("Cannot look up %s: %s", server.host, error)
        return []
    return [(str(address[0]), int(address[1])) for *_, address in found]


def _in_order(servers: list[tuple[Server, list[Address]]]) -> list[Address]:
    def rank(found: tuple[Server, list[Address]]) -> tuple[int, float]:
        weight = found[0].weight or 0.01  # rarely first, but never left out
        return found[0].priority, -(random.random() ** (1 / weight))  # noqa: S311

    ordered = [address for _, addresses in sorted(servers, key=rank) for address in addresses]
    return list(dict.fromkeys(ordered))


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False
