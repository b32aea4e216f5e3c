"""Our UDP port, read and written in the SIP thread itself."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import threading
from collections import deque
from functools import lru_cache
from queue import SimpleQueue
from typing import Any

from sippy.Network_server import Network_server, Remote_address
from sippy.Time.MonoTime import MonoTime
from sippy.Time.Timeout import Timeout
from sippy.Udp_server import Udp_server_opts

from . import loop

logger = logging.getLogger(__name__)

AT_ONCE = 64  # datagrams that are read before timers and others have their turn
LONGEST = 65_535  # bytes
BUFFER = 4 * 2**20  # bytes that the kernel is asked to keep for us
AGAIN = 0.01  # seconds until another try, when the kernel takes no more


class Port(Network_server):  # type: ignore[misc]
    """A socket, with the methods of sippy's `Udp_server`.

    That one has a thread that looks up each address and sends, and ends for good at the first
    address with an impossible port; the order among several is anyone's guess.
    """

    transport = "udp"

    def __init__(self, config: dict[str, Any], options: Udp_server_opts) -> None:
        super().__init__(options)
        self._waiting: deque[tuple[bytes, Any]] = deque()
        self._names: SimpleQueue[tuple[bytes, str, int] | None] | None = None
        self._socket = socket.socket(self.uopts.family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            self._socket.bind((self.uopts.laddress[0], int(self.uopts.laddress[1])))
        except OSError:
            self._socket.close()
            raise
        loop.watch(self._socket, self._read)

    def send_to(self, data: bytes | str, address: tuple[str, int], delayed: bool = False) -> None:
        """Send a datagram; one that cannot be sent is lost, as others are on their way."""
        if isinstance(data, str):
            data = data.encode()
        host, port = str(address[0]).strip("[]"), int(address[1])
        if _is_address(host):
            self._send(data, (host, port))
        else:
            self._look_up(data, host, port)

    def shutdown(self) -> None:
        """Let go of the port."""
        loop.unwatch(self._socket)
        self._socket.close()
        self._waiting.clear()
        if self._names is not None:
            self._names.put(None)
        self.uopts.data_callback = None

    def join(self) -> None:
        """There are no threads to wait for."""

    def _send(self, data: bytes, address: Any) -> None:
        self._waiting.append((data, address))
        if len(self._waiting) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._waiting:
            data, address = self._waiting[0]
            try:
                self._socket.sendto(data, address)
            except BlockingIOError:
                Timeout(self._flush, AGAIN, 1)
                return
            except (OSError, OverflowError) as error:  # as for ports beyond 65535
                logger.warning("Nothing can be sent to %s:%s: %s", *address[:2], error)
            self._waiting.popleft()

    def _look_up(self, data: bytes, host: str, port: int) -> None:
        """Send to a name, such as peers may give in Contact: looked up where it holds up no call
        but those to other names.
        """
        if self._names is None:
            self._names = SimpleQueue()
            threading.Thread(
                target=self._look_up_all, args=(self._names,), name="sip-names", daemon=True
            ).start()
        self._names.put((data, host, port))

    def _look_up_all(self, names: SimpleQueue[tuple[bytes, str, int] | None]) -> None:
        while (wanted := names.get()) is not None:
            data, host, port = wanted
            try:
                found = socket.getaddrinfo(host, None, self.uopts.family, socket.SOCK_DGRAM)
            except (OSError, ValueError) as error:
                logger.warning("%s is not to be found: %s", host, error)
                continue
            loop.call(self._send, data, (found[0][4][0], port))

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            if self.uopts.data_callback is None:
                return
            try:
                data, address = self._socket.recvfrom(LONGEST)
            except OSError:  # nothing is left
                return
            host = f"[{address[0]}]" if self.uopts.family == socket.AF_INET6 else address[0]
            source = Remote_address((host, address[1]), self.transport)
            try:
                self.uopts.data_callback(data, source, self, MonoTime())
            except Exception:
                logger.exception("A message from %s could not be taken.", source)


@lru_cache(1024)
def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False
