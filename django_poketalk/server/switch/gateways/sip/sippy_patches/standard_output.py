"""Defect: errors and warnings are printed to standard output, including whole messages.

Upstream: `dump_exception` in `sippy/Core/Exceptions.py`, as imported by
`sippy/Core/EventDispatcher.py` and `sippy/SipTransactionManager.py`; and `print` in many modules.
"""

from __future__ import annotations

import logging
import sys

from sippy import SipTransactionManager
from sippy.Core import EventDispatcher

logger = logging.getLogger(__name__)


def _dump_exception(message: str, f: object = None, extra: str | None = None) -> None:
    """Called while the exception is handled. `extra`, the whole message, is left out."""
    logger.warning("%s", message, exc_info=sys.exception())


def _print(*words: object) -> None:
    logger.debug("%s", " ".join(map(str, words)).partition("\n")[0])


def install() -> None:
    """Log instead."""
    for module in (EventDispatcher, SipTransactionManager):
        module.dump_exception = _dump_exception
    for name, module in list(sys.modules.items()):
        if name.startswith("sippy."):
            vars(module)["print"] = _print
