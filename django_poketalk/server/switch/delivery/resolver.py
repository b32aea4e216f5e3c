"""From a host name to sockets at checked addresses only: aiohttp's two hooks.

A name is resolved once; if any of its addresses is refused, so is the name. aiohttp then connects
to the addresses it was handed, never to the name, so that a second answer of the name server (DNS
rebinding) is not asked for. `checked_socket` looks once more at the very address of each socket,
which also covers hosts that are addresses: for those aiohttp asks no resolver.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from django_poketalk.server.destinations import DestinationRefused, check_address

# Name servers are the customers' own and may be slow: lookups get threads of their own.
THREADS = 32


class CheckedResolver(AbstractResolver):
    """Resolves names to addresses that events may be sent to, or raises `DestinationRefused`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="poketalk-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of the host, each checked; `OSError` when it has none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self.look_up, host, port, family)
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        for address in addresses:
            check_address(address, port)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    def look_up(self, host: str, port: int, family: socket.AddressFamily) -> list[Any]:
        """Ask the system, blocking."""
        return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)

    async def close(self) -> None:
        """Take no more lookups; those under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def checked_socket(info: tuple[Any, ...]) -> socket.socket:
    """A socket for this address information, or `PermissionError`."""
    family, kind, protocol, _, address = info
    try:
        check_address(str(address[0]), int(address[1]))
    except DestinationRefused as error:
        raise PermissionError(errno.EACCES, str(error)) from error
    return socket.socket(family, kind, protocol)
