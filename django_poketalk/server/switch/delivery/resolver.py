"""aiohttp's resolver and socket hooks, which allow only checked addresses.

A name is resolved once; if any of its addresses is refused, the name is refused. aiohttp connects
to the resolved addresses without resolving the name again, so DNS rebinding has no effect.
`checked_socket` checks the address of each socket again, which also covers URLs with an address as
host: aiohttp does not resolve those.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from django_poketalk.server.destinations import DestinationRefused, check_address

from .lookups import LookUps


class CheckedResolver(AbstractResolver):
    """Resolves names to allowed addresses, or raises `DestinationRefused`."""

    def __init__(self) -> None:
        self._look_ups = LookUps()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of the host, each checked. Raises `OSError` if there are none, or if its
        name servers are too slow (`TimeoutError`).
        """
        found = await self._look_ups.run(self.look_up, host, port, family)
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
        """Resolve with the system's resolver. Blocking."""
        return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)

    async def close(self) -> None:
        """Nothing to do: running look-ups are not waited for."""


def checked_socket(info: tuple[Any, ...]) -> socket.socket:
    """A socket for this `getaddrinfo` entry. Raises `PermissionError` if the address is refused."""
    family, kind, protocol, _, address = info
    try:
        check_address(str(address[0]), int(address[1]))
    except DestinationRefused as error:
        raise PermissionError(errno.EACCES, str(error)) from error
    return socket.socket(family, kind, protocol)
