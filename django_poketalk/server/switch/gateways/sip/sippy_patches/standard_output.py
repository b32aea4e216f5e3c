"""Defect: errors and warnings are printed to standard output, including whole messages.

Upstream: `dump_exception` in `sippy/Core/Exceptions.py`, as imported by
`sippy/Core/EventDispatcher.py` and, for messages that cannot be read,
`sippy/SipTransactionManager.py`; and `print` in many modules.
"""

from __future__ import annotations

import sys
import time

from sippy import SipTransactionManager
from sippy.Core import EventDispatcher

from django_poketalk.shared.logs import get_logger

logger = get_logger(__name__)


INTERVAL = 10.0  # seconds at least between two lines about unreadable messages


class UnreadableMessages:
    """Logs one line about many messages, and nothing of what strangers wrote."""

    def __init__(self) -> None:
        self._count = 0
        self._logged_at = float("-inf")

    def dump_exception(self, message: str, f: object = None, extra: str | None = None) -> None:
        """Called while the exception is handled. `extra` is the whole message."""
        self._count += 1
        now = time.monotonic()
        if now < self._logged_at + INTERVAL:
            return
        logger.warning(
            "%s: %s. Unreadable since the last such line: %d.",
            message,
            type(sys.exception()).__name__,
            self._count,
        )
        self._count, self._logged_at = 0, now


def _dump_exception(message: str, f: object = None, extra: str | None = None) -> None:
    """Called while the exception is handled."""
    logger.warning("%s", message, exc_info=sys.exception())


def _print(*words: object) -> None:
    logger.debug("%s", " ".join(map(str, words)).partition("\n")[0])


def install() -> None:
    """Log instead."""
    EventDispatcher.dump_exception = _dump_exception
    SipTransactionManager.dump_exception = UnreadableMessages().dump_exception
    for name, module in list(sys.modules.items()):
        if name.startswith("sippy."):
            vars(module)["print"] = _print
