"""Sends requests to a Click-2-Call service over HTTP."""

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
from ..protocol.form_extensions import (
    CALLER_ID,
    CALLER_ID_FIELD,
    TO_EXTENSION,
    TO_EXTENSION_FIELD,
)
from .base import Answer, BaseBackend, Order, Sent, Verdict

MAX_BODY = 1024  # bytes; a response code has three at most
BAD_INPUT = 400  # our own service's answer to invalid input, for which the protocol has no code

# The beginning of urllib3's error messages, which names the connection.
_CONNECTION = re.compile(r"^<?[\w.]+(?: object at \w+>|\(host=.*?\)): ")
_local = threading.local()


class _Watched(HTTPConnection):
    """A connection with a time limit for the complete response headers. The timeout of urllib3
    begins anew with each byte, so a slow peer could exceed it.
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
    """Makes requests use watched connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTLS}


class Click2CallBackend(BaseBackend):
    """Sends one form-encoded POST. Follows no redirects, which would forward the API key, and does
    not retry.
    """

    def place(self, order: Order) -> Answer:
        """See `BaseBackend.place`. Raises `ImproperlyConfigured` if `URL` is not set."""
        if not settings.url:
            raise ImproperlyConfigured(
                "POKETALK['URL'] is empty: name the service's click2call URL."
            )
        try:
            return self._send(order)
        except requests.RequestException as error:
            if _nothing_was_sent(error):
                raise NotConnected(f"The service could not be reached: {_cause(error)}") from error
            return Answer(
                Verdict.UNKNOWN, detail=f"No complete answer was received: {_cause(error)}"
            )

    def describe(self, order: Order) -> Sent:
        """The request, with the API key hidden, and the URL without credentials and query."""
        url = urlsplit(settings.url)
        address = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))
        return Sent(f"POST {address}", _form(order, "…"))

    def _send(self, order: Order) -> Answer:
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
            return _interpret(response.status_code, body)


def _form(order: Order, api_key: str) -> dict[str, str]:
    """The fields of the protocol, and the extensions that the service knows."""
    form = {
        "to": order.to_number,
        "from": order.from_number,
        "api_key": api_key,
        "custom": order.webcallid,
    }
    if order.event_url:
        form["eventurl"] = order.event_url
    if order.to_extension and TO_EXTENSION in settings.service_extensions:
        form[TO_EXTENSION_FIELD] = order.to_extension
    if order.caller_id and CALLER_ID in settings.service_extensions:
        form[CALLER_ID_FIELD] = order.caller_id
    return form


def _interpret(http_status: int, body: bytes) -> Answer:
    text = body.decode("utf-8", "replace").strip()
    if http_status == BAD_INPUT:
        return Answer(
            Verdict.REJECTED, detail=text or "The service refused the request as malformed."
        )
    is_whole = len(body) < MAX_BODY  # a truncated body could begin like a code
    code = ResponseCode.read(body) if http_status == requests.codes.ok and is_whole else None
    if code is None:
        return Answer(
            Verdict.UNKNOWN, detail=f"HTTP {http_status} without a response code: {text!r}"
        )
    return Answer(Verdict.ACCEPTED if code is ResponseCode.OK else Verdict.REJECTED, code, text)


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body, or its first KiB. Raises `ReadTimeout` after `deadline` (monotonic seconds)."""
    body = b""
    for byte in response.iter_content(1):
        body += byte
        if len(body) >= MAX_BODY:
            break
        if time.monotonic() > deadline:
            raise requests.ReadTimeout("the answer took too long")
    return body


def _session() -> requests.Session:
    """The thread's session. It keeps connections alive, and ignores the environment's proxies and
    .netrc.
    """
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
    """Whether the request failed before the connection was established (with TLS: and trusted), so
    that no byte of it was sent.
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
    """The original error, without the exceptions that requests and urllib3 wrapped around it."""
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
    """A short description for people, without the URL, the form or memory addresses."""
    root = _root(error)
    text = root.strerror if isinstance(root, OSError) and root.strerror else str(root)
    return _CONNECTION.sub("", text) or type(root).__name__
