"""Defect: messages are sent by separate threads, which reorder them and die of a bad address.

Upstream: `sippy/Udp_server.py`, `AsyncSender.run`. Three threads look up each address and send. A
port above 65535, which a peer may give in its Contact, raises OverflowError and ends the thread;
after the third, nothing is sent. `UdpServer` reads and writes in the SIP thread itself.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections import deque
from functools import lru_cache
from queue import SimpleQueue
from typing import Any

from sippy.Core.EventDispatcher import ED2
from sippy.Network_server import Network_server, Remote_address
from sippy.Time.MonoTime import MonoTime
from sippy.Time.Timeout import Timeout
from sippy.Udp_server import Udp_server_opts

from django_poketalk.shared.logs import get_logger

logger = get_logger(__name__)

BATCH = 64  # datagrams read before timers and other work run
MAX_SIZE = 65_535  # bytes
BUFFER = 4 * 2**20  # bytes of the kernel's receive buffer
RETRY_AFTER = 0.01  # seconds, when the kernel's send buffer is full


class UdpServer(Network_server):  # type: ignore[misc]
    """A UDP socket with the methods of sippy's `Udp_server`."""

    transport = "udp"

    def __init__(self, config: dict[str, Any], options: Udp_server_opts) -> None:
        super().__init__(options)
        self._unsent: deque[tuple[bytes, Any]] = deque()
        self._lookups: SimpleQueue[tuple[bytes, str, int] | None] | None = None
        self._socket = socket.socket(self.uopts.family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            self._socket.bind((self.uopts.laddress[0], int(self.uopts.laddress[1])))
        except OSError:
            self._socket.close()
            raise
        ED2.elp.watch(self._socket, self._read)

    def send_to(self, data: bytes | str, address: tuple[str, int], delayed: bool = False) -> None:
        """Send a datagram. One that cannot be sent is logged and dropped."""
        if isinstance(data, str):
            data = data.encode()
        host, port = str(address[0]).strip("[]"), int(address[1])
        if _is_address(host):
            self._send(data, (host, port))
        else:
            self._look_up(data, host, port)

    def send_to_itself(self, data: bytes) -> None:
        """Send a datagram to this socket, from any thread. It is dropped if the buffer is full."""
        with contextlib.suppress(OSError):
            self._socket.sendto(data, self._socket.getsockname())

    def shutdown(self) -> None:
        ED2.elp.unwatch(self._socket)
        self._socket.close()
        self._unsent.clear()
        if self._lookups is not None:
            self._lookups.put(None)
        self.uopts.data_callback = None

    def join(self) -> None:
        """There are no threads to wait for."""

    def _send(self, data: bytes, address: Any) -> None:
        self._unsent.append((data, address))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._unsent:
            data, address = self._unsent[0]
            try:
                self._socket.sendto(data, address)
            except BlockingIOError:
                Timeout(self._flush, RETRY_AFTER, 1)
                return
            except (OSError, OverflowError) as error:  # OverflowError: a port above 65535
                logger.warning("Cannot send to %s:%s: %s", *address[:2], error)
            self._unsent.popleft()

    def _look_up(self, data: bytes, host: str, port: int) -> None:
        """Send to a host name, which peers may give in a Contact. A thread looks it up, so only
        messages to host names wait.
        """
        if self._lookups is None:
            self._lookups = SimpleQueue()
            threading.Thread(
                target=self._run_lookups, args=(self._lookups,), name="sip-dns", daemon=True
            ).start()
        self._lookups.put((data, host, port))

    def _run_lookups(self, lookups: SimpleQueue[tuple[bytes, str, int] | None]) -> None:
        while (lookup := lookups.get()) is not None:
            data, host, port = lookup
            try:
                found = socket.getaddrinfo(host, None, self.uopts.family, socket.SOCK_DGRAM)
            except (OSError, ValueError) as error:
                logger.warning("Cannot look up %s: %s", host, error)
                continue
            ED2.elp.call_from_thread(self._send, data, (found[0][4][0], port))

    def _read(self) -> None:
        for _ in range(BATCH):
            if self.uopts.data_callback is None:
                return
            try:
                data, address = self._socket.recvfrom(MAX_SIZE)
            except OSError:  # nothing left to read
                return
            host = f"[{address[0]}]" if self.uopts.family == socket.AF_INET6 else address[0]
            source = Remote_address((host, address[1]), self.transport)
            try:
                self.uopts.data_callback(data, source, self, MonoTime())
            except Exception:
                logger.exception("Cannot handle a message from %s.", source)


@lru_cache(1024)
def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False
