"""Defect: only the first challenge to an INVITE is answered, and none to other requests.

Upstream: `sippy/UA.py`, `processChallenge` and `recvResponse`. A challenge with `stale=true` only
replaces the nonce (RFC 2617, 3.2.1), and each proxy on the way may challenge for a realm of its own
(RFC 3261, 22.3). `supportedAlgorithm` takes `Basic` for Digest. A challenge that crosses our CANCEL
is answered by an INVITE that nobody cancels.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sippy.SipHeader import SipHeader
from sippy.UA import UA
from sippy.UacStateRinging import UacStateRinging
from sippy.UacStateTrying import UacStateTrying
from sippy.UacStateUpdating import UacStateUpdating

CHALLENGES = {401: "www-authenticate", 407: "proxy-authenticate"}
AWAITING = (UacStateTrying, UacStateRinging, UacStateUpdating)
MAX_CHALLENGES = 5  # of one request; a server might call every nonce stale


class Credentials:
    """The challenges to one request, by header and realm."""

    def __init__(self) -> None:
        self._challenges: dict[tuple[str, str], Any] = {}
        self._uses: dict[str, int] = {}  # by nonce
        self._count = 0

    def take(self, response: Any) -> bool:
        """Take the challenges of a response. Return whether the request should be sent again: not
        if a server has refused the credentials.
        """
        self._count += 1
        header = CHALLENGES.get(response.getSCode()[0])
        if header is None or self._count > MAX_CHALLENGES:
            return False
        taken = set()
        for challenge in _digest_challenges(response, header):
            key = (header, challenge.realm)
            if key in taken:  # the same realm with another algorithm; the first is preferred
                continue
            if key in self._challenges and not _is_stale(challenge):
                return False
            self._challenges[key] = challenge
            taken.add(key)
        return bool(taken)

    def headers(self, agent: UA, request: Any) -> list[SipHeader]:
        """The headers for a request, one for each realm."""
        return [
            SipHeader(body=self._answer(each, agent, request)) for each in self._challenges.values()
        ]

    def _answer(self, challenge: Any, agent: UA, request: Any) -> Any:
        qop = challenge.supportedAlgorithm()[1]
        body = str(request.getBody() or "") if qop == "auth-int" else None
        method, uri = request.getMethod(), str(request.getRURI())
        answer = challenge.genAuthHF(agent.username, agent.password, method, uri, body, qop)
        count = self._uses[challenge.nonce] = self._uses.get(challenge.nonce, 0) + 1
        if answer.qop is not None:
            answer.nc = f"{count:08x}"
            answer.genAuthResponse(agent.password, method, body)
        return answer


class DigestChallenges(UA):  # type: ignore[misc]
    """Sends a challenged request again with credentials, unless they have been refused."""

    @property
    def awaits_response(self) -> bool:
        """Whether the response to an INVITE is awaited, because it has not been canceled."""
        return type(self.state) in AWAITING

    def processChallenge(
        self, resp: Any, cseq: int, ch_hfname: str, auth_hfname: str, extra_headers: Any
    ) -> bool:
        """Answer a challenge to an INVITE, unless it has been canceled."""
        if not self.awaits_response:
            return False
        again = self._with_credentials(self.reqs[cseq], resp)
        if again is None:
            return False
        self.newUacTransaction(again, req_extra_headers=extra_headers)
        del self.reqs[cseq]
        return True

    def newTransaction(self, req: Any, req_extra_headers: Any = None, **kwargs: Any) -> Any:
        """Send a request; answer challenges to it, if it is not an INVITE."""
        if req.getMethod() != "INVITE":
            kwargs["resp_cb"] = partial(self._on_response, req, kwargs.get("resp_cb"))
        return super().newTransaction(req, req_extra_headers=req_extra_headers, **kwargs)

    def _on_response(self, request: Any, resp_cb: Any, response: Any) -> None:
        again = self._with_credentials(request, response)
        if again is not None:
            self.newTransaction(again, resp_cb=resp_cb)
        elif resp_cb is not None:
            resp_cb(response)

    def _with_credentials(self, request: Any, response: Any) -> Any:
        """The request again, or None if there is no challenge to answer."""
        credentials = getattr(request, "credentials", None) or Credentials()
        if self.username is None or self.password is None or not credentials.take(response):
            return None
        again = self.genRequest(request.getMethod(), request.getBody())
        names = {header.name for header in again.headers} | {"authorization", "proxy-authorization"}
        again.appendHeaders([each.getCopy() for each in request.headers if each.name not in names])
        again.appendHeaders(credentials.headers(self, again))
        again.credentials = credentials
        return again


def _digest_challenges(response: Any, header: str) -> list[Any]:
    found = []
    for each in response.getHFs(header):
        if each.body.body.lstrip().lower().startswith("digest "):
            challenge = each.getBody()
            if challenge.realm is not None and challenge.supportedAlgorithm()[0]:
                found.append(challenge)
    return found


def _is_stale(challenge: Any) -> bool:
    return any(
        name.lower() == "stale" and value.strip('"').lower() == "true"
        for name, value in challenge.otherparams
    )
