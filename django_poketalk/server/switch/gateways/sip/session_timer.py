"""Session timers (RFC 4028) in sippy's dialogs. Only used in the SIP thread.

Our requests propose a session that we refresh. A peer that does not support it leaves
Session-Expires out of its response. `DialogChecks` says when to refresh, and ends lost sessions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sippy.CCEvents import CCEventUpdate
from sippy.SipGenericHF import SipGenericHF
from sippy.SipHeader import SipHeader
from sippy.UacStateUpdating import UacStateUpdating
from sippy.UaStateConnected import UaStateConnected

from . import sdp
from .session import INTERVAL, MIN_INTERVAL, Session, interval_of, refresher_of
from .sippy_patches.digest import DigestChallenges
from .sippy_patches.refused_offer import RefusedOffer
from .sippy_patches.request_methods import RequestMethods

REFRESHING = ("INVITE", "UPDATE")
TOO_SMALL = (422, "Session Interval Too Small")
NOT_ALLOWED = frozenset({405, 501})

OnResponse = Callable[[int], object]
"""Called with the status of the final response to a refresh."""


class SessionTimer(RefusedOffer, RequestMethods, DigestChallenges):
    """A dialog whose session can be refreshed, by UPDATE if the peer allows it, else by re-INVITE.

    Without `_session_timers` in sippy's configuration, it takes part in no session.
    """

    rSDP: Any
    session: Session | None = None
    allows_update = False
    _min_interval = 0  # the peer's, if it is longer than usual
    _requested: str | None = None  # Session-Expires of the request that is being answered
    _on_refreshed: OnResponse | None = None  # during a refresh by re-INVITE
    _in_refresh = False
    _offer: CCEventUpdate | None = None  # to send after it

    def refresh(self, on_response: OnResponse) -> bool:
        """Refresh the session. Return False if this is not possible now."""
        if self.allows_update:
            send = partial(self.genRequest, "UPDATE")
            self.newTransaction(send(), resp_cb=partial(self._on_update, send, on_response))
            return True
        if type(self.state) is not UaStateConnected or self.lSDP is None:
            return False
        self._on_refreshed, self._agreed = on_response, self.lSDP
        self.newUacTransaction(self.genRequest("INVITE", self.lSDP))
        self.changeState((UacStateUpdating,))
        return True

    def genRequest(self, *args: Any, **kwargs: Any) -> Any:
        """Create a request; an INVITE or UPDATE proposes a session."""
        request = super().genRequest(*args, **kwargs)
        if request.getMethod() in REFRESHING and self._is_enabled:
            current = self.session or Session(INTERVAL, is_refresher=True, refreshed=0)
            least = max(MIN_INTERVAL, self._min_interval)
            interval = max(current.interval, least)
            refresher = "uac" if current.is_refresher else "uas"
            request.appendHeaders(
                [
                    _header("Supported", "timer"),
                    _header("Session-Expires", f"{interval};refresher={refresher}"),
                    _header("Min-SE", str(least)),
                ]
            )
        return request

    # Responses to our requests

    def recvResponse(self, resp: Any, tr: Any) -> Any:
        """Handle a response to an INVITE. That to a refresh causes no event but of new media."""
        status = resp.getSCode()[0]
        request = self.reqs.get(resp.getHFBody("cseq").getCSeqNum())
        if request is not None and self.awaits_response and self._raise_interval(resp):
            again = self.genRequest("INVITE", request.getBody())
            self.newUacTransaction(again, req_extra_headers=tr.req_extra_headers)
            return None
        self._take_response(resp)
        if self._on_refreshed is None:
            return super().recvResponse(resp, tr)
        before, self._in_refresh = self.rSDP, True
        try:
            super().recvResponse(resp, tr)
        finally:
            self._in_refresh = False
        if status >= 200 and type(self.state) is not UacStateUpdating:  # no challenge
            self._end_refresh(status, before)
        return None

    def emitPendingEvents(self) -> None:
        """Report events, except those of the response to a refresh."""
        if self._in_refresh:
            self.equeue.clear()
        super().emitPendingEvents()

    def recvEvent(self, event: Any) -> None:
        """Handle an event. An offer waits for the end of a refresh by re-INVITE."""
        if self._on_refreshed is not None and isinstance(event, CCEventUpdate):
            self._offer = event
        else:
            super().recvEvent(event)

    def _end_refresh(self, status: int, before: Any) -> None:
        on_response, self._on_refreshed = self._on_refreshed, None
        offer, self._offer = self._offer, None
        if self.rSDP is None:
            self.rSDP = before
        elif not sdp.same_media(str(self.rSDP), str(before)):
            self.equeue.append(CCEventUpdate(self.rSDP.getCopy()))
            self.emitPendingEvents()
        if on_response is not None:
            on_response(status)
        if offer is not None:
            self.recvEvent(offer)

    def _on_update(self, send: Callable[[], Any], on_response: OnResponse, response: Any) -> None:
        status = response.getSCode()[0]
        if status < 200 or not self.isConnected():
            return
        if self._raise_interval(response):
            self.newTransaction(send(), resp_cb=partial(self._on_update, send, on_response))
            return
        self._take_response(response)
        if status in NOT_ALLOWED:
            self.allows_update = False
        on_response(status)

    def _take_response(self, response: Any) -> None:
        if not 200 <= response.getSCode()[0] < 300 or not self._is_enabled:
            return
        self._take_allow(response)
        value = _session_expires(response) or ""
        interval = interval_of(value)
        is_refresher = refresher_of(value) != "uas"
        if interval and not is_refresher:  # less is not allowed (RFC 4028, 9)
            interval = max(interval, MIN_INTERVAL)
        self.session = Session(interval, is_refresher, time.monotonic()) if interval else None

    def _raise_interval(self, response: Any) -> bool:
        """Take the least interval of a response 422. Return whether to send the request again."""
        least = max((interval_of(value) for value in _values(response, "min-se")), default=0)
        if response.getSCode()[0] != TOO_SMALL[0] or self._min_interval or least <= MIN_INTERVAL:
            return False
        self._min_interval = least
        return True

    # Requests of the peer

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        """Handle a request; one that refreshes the session is answered with Session-Expires."""
        if not (req.getMethod() in REFRESHING and self._is_enabled and self.is_next(req)):
            return super().recvRequest(req, sip_t)
        self._take_allow(req)
        self._requested = _session_expires(req)
        if 0 < interval_of(self._requested or "") < MIN_INTERVAL:
            self.rCSeq = req.getHFBody("cseq").getCSeqNum()
            response = req.genResponse(*TOO_SMALL, server=self.local_ua)
            response.appendHeader(_header("Min-SE", str(MIN_INTERVAL)))
            return (response, None, None)
        result = super().recvRequest(req, sip_t)
        if req.getMethod() == "UPDATE" and result is not None and result[0].getSCode()[0] == 200:
            result[0].appendHeader(SipHeader(name="contact", body=self.lContact))
            result[0].appendHeaders(self._agree())
        return result

    def sendUasResponse(
        self, scode: int, reason: str, *args: Any, extra_headers: Any = None, **kwargs: Any
    ) -> None:
        """Send a response to a re-INVITE."""
        if 200 <= scode < 300:
            extra_headers = [*(extra_headers or ()), *self._agree()]
        super().sendUasResponse(scode, reason, *args, extra_headers=extra_headers, **kwargs)

    def _agree(self) -> list[SipHeader]:
        """Accept the session that a request proposes; the headers of our response say so."""
        requested, current = self._requested or "", self.session
        interval = interval_of(requested) or (current.interval if current else 0)
        if not interval or not self._is_enabled:
            return []
        refresher = refresher_of(requested) or "uas"
        self.session = Session(interval, refresher == "uas", time.monotonic())
        headers = [_header("Session-Expires", f"{interval};refresher={refresher}")]
        if refresher == "uac":
            headers.append(_header("Require", "timer"))  # RFC 4028, 9
        return headers

    def _take_allow(self, message: Any) -> None:
        if allowed := _values(message, "allow"):
            self.allows_update = "UPDATE" in ",".join(allowed).replace(" ", "").split(",")

    @property
    def _is_enabled(self) -> bool:
        return bool(self.global_config.get("_session_timers"))


class _Field(SipGenericHF):  # type: ignore[misc]
    """A header that sippy does not know, in its usual spelling."""

    def __init__(self, body: str, name: str) -> None:
        super().__init__(body, name)
        self._name = name

    def getCanName(self, name: str, compact: bool = False) -> str:
        return self._name

    def getCopy(self) -> _Field:
        return _Field(self.body, self._name)


def _header(name: str, value: str) -> SipHeader:
    return SipHeader(name=name, body=_Field(value, name))


def _values(message: Any, *names: str) -> list[str]:
    return [str(header.body) for name in names for header in message.getHFs(name)]


def _session_expires(message: Any) -> str | None:
    return next(iter(_values(message, "session-expires", "x")), None)
