"""Ports on loopback for phones, proxies and switches, each given to one test process."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice

PORTS = range(10_000, 20_000)
MEDIA = 10_000  # what `phones` adds to a SIPp's port for its media
OWN = 400  # ports of one process
STEP = 8  # a SIPp also takes the media port two higher, for video

_locks: list[socket.socket] = []  # open until the process ends


def free_port(count: int = 1) -> int:
    """Return the first of `count` consecutive ports, which are free for UDP and TCP, as are SIPp's
    media ports, `MEDIA` higher. No other process gets them from here, and this one gets them again
    only after all its others. All are below the system's range of ephemeral ports.
    """
    own, firsts = _own_ports()
    for first in islice(firsts, OWN // STEP):
        ports = range(first, first + count)
        if ports[-1] in own and all(is_free(port) and is_free(port + MEDIA) for port in ports):
            list(islice(firsts, (count - 1) // STEP))  # those among these ports
            return first
    raise AssertionError(f"no {count} consecutive free ports found")


@cache
def _own_ports() -> tuple[range, Iterator[int]]:
    """The ports that belong to this process until it ends, and every `STEP`th, again and again."""
    starts = range(PORTS.start, PORTS.stop, OWN)
    for start in random.sample(starts, len(starts)):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0poketalk-tests-{start}")
        except OSError:
            lock.close()
        else:
            _locks.append(lock)
            return range(start, start + OWN), cycle(range(start, start + OWN, STEP))
    raise AssertionError("other test processes have taken all ports")


def is_free(port: int) -> bool:
    """Whether UDP and TCP sockets can be bound to this port on loopback."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def wait_until_bound(port: int, transport: str = "udp") -> None:
    """Wait until a socket is bound to this port."""
    entry = f":{port:04X} "
    for _ in range(3000):  # a minute, on a busy host
        with open(f"/proc/net/{transport}") as table:
            if entry in table.read():
                return
        time.sleep(0.02)
    raise AssertionError(f"no socket is bound to port {port}")
