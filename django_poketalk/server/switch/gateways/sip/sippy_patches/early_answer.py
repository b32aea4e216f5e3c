"""Defect: a 200 without a body clears the answer that came in a provisional response.

Upstream: `recvResponse` in `sippy/UacStateTrying.py`, `UacStateRinging.py` and
`UacStateUpdating.py` sets `UA.rSDP` to None. The first description in a dialog is the answer, and
later responses need not repeat it (RFC 3261, 13.2.1).
"""

from __future__ import annotations

from typing import Any

from sippy.UA import UA


class EarlyAnswer(UA):  # type: ignore[misc]
    """Adds the answer to such a 200, if our INVITE contained an offer."""

    _early: tuple[tuple[int, str | None], Any] | None = None

    def recvResponse(self, resp: Any, tr: Any) -> Any:
        cseq, method = resp.getHFBody("cseq").getCSeq()
        if method == "INVITE" and self.lSDP is not None:
            self._keep_answer(resp, (cseq, resp.getHFBody("to").getTag()))
        return super().recvResponse(resp, tr)

    def _keep_answer(self, resp: Any, dialog: tuple[int, str | None]) -> None:
        body, code = resp.getBody(), resp.getSCode()[0]
        if code < 200 and body is not None:
            self._early = (dialog, body)
        elif 200 <= code < 300 and body is None and self._early and self._early[0] == dialog:
            resp.setBody(self._early[1].getCopy())
