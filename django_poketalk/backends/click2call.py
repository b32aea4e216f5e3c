"""Asks a PokeTALK Click-2-Call service by HTTP (seed, Parameters and Response)."""

from __future__ import annotations

import ssl
import threading
import time

import requests
import urllib3.exceptions
from django.core.exceptions import ImproperlyConfigured

from ..conf import settings
from ..exceptions import NotConnected
from ..protocol.codes import ResponseCode
from .base import Answer, BaseBackend, Order, Verdict

MAX_BODY = 1024  # bytes; a code has three
BAD_INPUT = 400  # what our own service answers where the seed has no code: no call is made

_local = threading.local()


class Click2CallBackend(BaseBackend):
    """One form-encoded POST. No redirect is followed (the key would travel), nothing retried."""

    def place(self, order: Order) -> Answer:
        """Raises `ImproperlyConfigured` without a URL; see `BaseBackend.place` for the rest."""
        if not settings.url:
            raise ImproperlyConfigured(
                "POKETALK['URL'] is empty: name the service's click2call URL."
            )
        try:
            return self._ask(order)
        except requests.RequestException as error:
            if _nothing_was_sent(error):
                raise NotConnected(f"The service could not be reached: {_cause(error)}") from error
            return Answer(Verdict.UNKNOWN, detail=f"No complete answer came: {_cause(error)}")

    def _ask(self, order: Order) -> Answer:
        form = {
            "to": order.to_number,
            "from": order.from_number,
            "api_key": settings.api_key,
            "custom": order.webcallid,
        }
        if order.event_url:
            form["eventurl"] = order.event_url
        deadline = time.monotonic() + settings.connect_timeout + settings.read_timeout
        with _session().post(
            settings.url,
            data=form,
            timeout=(settings.connect_timeout, settings.read_timeout),
            allow_redirects=False,
            stream=True,
        ) as response:
            body = _read(response, deadline)
            return _understand(response.status_code, body)


def _understand(http_status: int, body: bytes) -> Answer:
    text = body.decode("utf-8", "replace").strip()
    if http_status == BAD_INPUT:
        return Answer(
            Verdict.REJECTED, detail=text or "The service refused the request as malformed."
        )
    code = ResponseCode.read(body) if http_status == requests.codes.ok else None
    if code is None:
        return Answer(
            Verdict.UNKNOWN, detail=f"HTTP {http_status}, which is no answer to a request: {text!r}"
        )
    return Answer(Verdict.ACCEPTED if code is ResponseCode.OK else Verdict.REJECTED, code, text)


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body, or its first KiB. A peer that drips it past `deadline` (monotonic seconds) is cut
    off.
    """
    body = b""
    for byte in response.iter_content(1):
        body += byte
        if len(body) >= MAX_BODY:
            break
        if time.monotonic() > deadline:
            raise requests.ReadTimeout("the answer took too long")
    return body


def _session() -> requests.Session:
    """One session a thread: kept-alive connections, no proxies or .netrc of the environment."""
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = _local.session = requests.Session()
        session.trust_env = False
        session.headers["User-Agent"] = "django-poketalk"
    return session


def _nothing_was_sent(error: requests.RequestException) -> bool:
    """Whether it failed before a connection (with TLS, a trusted one) stood, so that no byte of the
    request has left.
    """
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.exceptions.SSLError):
        return isinstance(_root(error), ssl.SSLCertVerificationError)
    return isinstance(
        reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    )


def _root(error: BaseException) -> BaseException:
    """The error at the bottom of what requests and urllib3 have wrapped around it."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = (
            getattr(error, "reason", None)
            or (error.args[0] if error.args else None)
            or error.__context__
        )
        if isinstance(inner, BaseException):
            error = inner
    return error


def _cause(error: requests.RequestException) -> str:
    """A short cause for people; never the URL, the form or an object's address."""
    root = _root(error)
    text = root.strerror if isinstance(root, OSError) and root.strerror else str(root)
    return text.rpartition(">: ")[2] or type(root).__name__
