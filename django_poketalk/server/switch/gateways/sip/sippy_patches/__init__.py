"""What sippy 2.5.0 spends without need, saved; and what it prints, logged.

It asks for the time by ctypes and for randomness by the system, each of which lets go of Python's
lock and then waits to have it back; and it tells its own addresses from others by listing all
attributes of a text.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any

from sippy import (
    UA,
    SipCallId,
    SipConf,
    SipFrom,
    SipTransactionManager,
    SipURL,
    SipVia,
)
from sippy.Core import EventDispatcher
from sippy.Time import MonoTime

logger = logging.getLogger(__name__)

RANDOM = 4096  # bytes that are asked for at a time
CLOCKS = {MonoTime.CLOCK_MONOTONIC: time.monotonic, MonoTime.CLOCK_REALTIME: time.time}
OURS = ("my",)  # the attribute by which sippy knows its own addresses, ports and transports


class _Randomness:
    def __init__(self) -> None:
        self._left = b""

    def token_hex(self, count: int) -> str:
        """So many bytes of the system's randomness, each used once. For one thread."""
        if len(self._left) < count:
            self._left = os.urandom(RANDOM)
        token, self._left = self._left[:count], self._left[count:]
        return token.hex()


def _clock(which: int) -> float:
    return CLOCKS[which]()


def _dir(thing: Any) -> tuple[str, ...]:
    return OURS if hasattr(thing, "my") else ()


def _log_exception(message: str, f: Any = None, extra: str | None = None) -> None:
    """Without `extra`, the whole message. Called where the exception is handled."""
    logger.warning("%s", message, exc_info=sys.exception())


def _log(*words: Any) -> None:
    logger.debug("%s", " ".join(map(str, words)).partition("\n")[0])


def apply() -> None:
    """Change the sippy of this process. To be called once, in the SIP thread."""
    randomness = _Randomness()
    MonoTime.clock_getdtime = _clock
    for module in (UA, SipCallId, SipFrom, SipVia):
        module.token_hex = randomness.token_hex
    for module in (SipConf, SipTransactionManager, SipURL, SipVia):
        module.dir = _dir
    for module in (EventDispatcher, SipTransactionManager):
        module.dump_exception = _log_exception
    for name, module in list(sys.modules.items()):
        if name.startswith("sippy."):
            vars(module)["print"] = _log
