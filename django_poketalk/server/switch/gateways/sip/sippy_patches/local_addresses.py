"""Defect: to recognize its own addresses, sippy lists all attributes of a string.

Upstream: `'my' in dir(…)` in `sippy/SipConf.py` (`port_needed`), `sippy/SipTransactionManager.py`
(`local4remote.__init__`), `sippy/SipURL.py` and `sippy/SipVia.py` (`localStr`): several times for
each message.
"""

from __future__ import annotations

from sippy import SipConf, SipTransactionManager, SipURL, SipVia


def _dir(thing: object) -> tuple[str, ...]:
    return ("my",) if hasattr(thing, "my") else ()


def install() -> None:
    """Look only for the attribute that sippy checks."""
    for module in (SipConf, SipTransactionManager, SipURL, SipVia):
        module.dir = _dir
