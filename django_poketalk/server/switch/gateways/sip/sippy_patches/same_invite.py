"""Defect: an INVITE that differs from another one only in its branch makes timers fail forever.

Upstream: `sendResponse` in `sippy/SipTransactionManager.py` stores an answered INVITE under its To
tag instead of its branch, in place of the other one, whose `timerD` then fails. Each such INVITE
costs a traceback, and lost timers go on after the shutdown.
"""

from __future__ import annotations

from typing import Any

from sippy.SipTransactionManager import SipTransactionManager

from .shutdown import TIMERS


class SameInvite(SipTransactionManager):  # type: ignore[misc]
    """Ends the transaction that another one replaces."""

    def sendResponse(self, resp: Any, t: Any = None, *args: Any, **kwargs: Any) -> None:
        """Send a response."""
        if t is None:
            t = self.tserver[resp.getTId(wBRN=True)]
        tag = resp.getHFBody("to").getTag()
        if t.needack and tag is not None and resp.getSCode()[0] >= 200:
            replaced = self.tserver.get((*t.tid[:-1], tag))
            if replaced is not None and replaced is not t:
                for name in TIMERS:
                    if (timer := getattr(replaced, name, None)) is not None:
                        timer.cancel()
                del self.tserver[replaced.tid]
                replaced.cleanup()
        super().sendResponse(resp, t, *args, **kwargs)
