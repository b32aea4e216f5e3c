"""Asks a PokeTALK Click-2-Call service by HTTP (seed, Parameters and Response)."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3
from django.core.exceptions import ImproperlyConfigured
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from ..conf import settings
from ..exceptions import NotConnected
from ..protocol.codes import ResponseCode
from .base import Answer, BaseBackend, Order, Sent, Verdict

MAX_BODY = 1024  # bytes; a code has three
BAD_INPUT = 400  # what our own service answers where the seed has no code: no call is made

# What urllib3 begins with: the connection that failed.
_CONNECTION = re.compile(r"^<?[\w.]+(?: object at \w+>|\(host=.*?\)): ")
_local = threading.local()


class _Watched(HTTPConnection):
    """A connection whose peer has so long to begin its answer, however it drips: urllib3's time-out
    begins anew with each byte.
    """

    def getresponse(self) -> Any:
        patience = settings.connect_timeout + settings.read_timeout
        watchdog = threading.Timer(patience, _hang_up, [self.sock])
        watchdog.daemon = True
        watchdog.start()
        try:
            return super().getresponse()
        finally:
            watchdog.cancel()


class _WatchedTLS(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Watched


class _PoolTLS(urllib3.HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


class _Adapter(HTTPAdapter):
    """Has requests use watched connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTLS}


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

    def shown(self, order: Order) -> Sent:
        """The same form, with the key hidden, and the URL without what may be secret in it."""
        url = urlsplit(settings.url)
        address = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))
        return Sent(f"POST {address}", _form(order, "…"))

    def _ask(self, order: Order) -> Answer:
        form = _form(order, settings.api_key)
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


def _form(order: Order, api_key: str) -> dict[str, str]:
    """The fields of the protocol (seed, Parameters)."""
    form = {
        "to": order.to_number,
        "from": order.from_number,
        "api_key": api_key,
        "custom": order.webcallid,
    }
    if order.event_url:
        form["eventurl"] = order.event_url
    return form


def _understand(http_status: int, body: bytes) -> Answer:
    text = body.decode("utf-8", "replace").strip()
    if http_status == BAD_INPUT:
        return Answer(
            Verdict.REJECTED, detail=text or "The service refused the request as malformed."
        )
    is_whole = len(body) < MAX_BODY  # the beginning of a longer one may read like a code
    code = ResponseCode.read(body) if http_status == requests.codes.ok and is_whole else None
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
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter())
    return session


def _hang_up(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


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
    return _CONNECTION.sub("", text) or type(root).__name__
