"""HTTP requests to the service: connections are kept alive, the whole answer has a time limit, and
redirects, which would forward keys, are not followed.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from ..conf import ServiceSettings
from ..exceptions import NoClearAnswer, NotConnected

_local = threading.local()

# The beginning of urllib3's error messages, which names the connection.
_CONNECTION = re.compile(r"^<?[\w.]+(?: object at \w+>|\(host=.*?\)): ")


class _Watched(HTTPConnection):
    """A connection whose read timeout limits the complete response headers. That of urllib3 begins
    anew with each byte, so a slow peer could exceed it. Where nothing arrives, it is the first.
    """

    def getresponse(self) -> Any:
        watchdog = threading.Timer(float(self.timeout or 0) * 1.5, _hang_up, [self.sock])
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


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request. The names in `headers` are not case-sensitive."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def exchange(
    service: ServiceSettings,
    method: str,
    url: str,
    most: int = 64 * 1024,
    within: float | None = None,
    **options: Any,
) -> Response:
    """Send one request, and return the answer with the first `most` bytes of its body. `options`
    are those of requests, such as `json` and `headers`. Connecting, and then the answer, may each
    take `within` seconds, by default the timeouts of the service.

    Raises `NotConnected` if it is certain that no byte was sent, and `NoClearAnswer` for all other
    failures. Their texts contain neither the URL nor the request.
    """
    timeout = (within or service.connect_timeout, within or service.read_timeout)
    deadline = time.monotonic() + sum(timeout)
    try:
        with session().request(
            method, url, timeout=timeout, allow_redirects=False, stream=True, **options
        ) as response:
            body = read(response, deadline, most)
            return Response(response.status_code, body, response.headers)
    except requests.RequestException as error:
        if _nothing_was_sent(error):
            raise NotConnected(f"The service could not be reached: {_cause(error)}") from error
        raise NoClearAnswer(f"No complete answer was received: {_cause(error)}") from error


def read(response: requests.Response, deadline: float, most: int) -> bytes:
    """The body, or its first `most` bytes. Raises `ReadTimeout` after `deadline` (monotonic
    seconds).
    """
    body = b""
    for byte in response.iter_content(1):
        body += byte
        if len(body) >= most:
            break
        if time.monotonic() > deadline:
            raise requests.ReadTimeout("the answer took too long")
    return body


def session() -> requests.Session:
    """The thread's session. It keeps connections alive, and ignores the environment's proxies and
    .netrc.
    """
    kept: requests.Session | None = getattr(_local, "session", None)
    if kept is None:
        kept = _local.session = requests.Session()
        kept.trust_env = False
        kept.headers["User-Agent"] = "django-poketalk"
        for scheme in ("http://", "https://"):
            kept.mount(scheme, _Adapter())
    return kept


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
