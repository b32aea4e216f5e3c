"""Defect: a challenge to a BYE is not answered, so the call stays up.

Upstream: `sippy/UA.py`, `recvResponse`, answers 401 and 407 only for INVITE.
"""

from __future__ import annotations

from typing import Any

from sippy.UA import UA

CHALLENGES = {401: "www-authenticate", 407: "proxy-authenticate"}


class ByeChallenge(UA):  # type: ignore[misc]
    """Sends the BYE again, with credentials."""

    def newTransaction(self, req: Any, req_extra_headers: Any = None, **kwargs: Any) -> Any:
        """Send a request; for a BYE, wait for a challenge."""
        if req.getMethod() == "BYE":
            kwargs.setdefault("resp_cb", self._bye_answered)
        return super().newTransaction(req, req_extra_headers=req_extra_headers, **kwargs)

    def _bye_answered(self, resp: Any) -> None:
        header = CHALLENGES.get(resp.getSCode()[0])
        if header is None or self.username is None:
            return
        for challenge in resp.getHFBodys(header):
            supported, qop = challenge.supportedAlgorithm()
            if supported:
                super().newTransaction(self.genRequest("BYE", None, (challenge, qop)))
                return
