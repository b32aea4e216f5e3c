"""Sends requests to a Click-2-Call service over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import requests
from django.core.exceptions import ImproperlyConfigured

from ..conf import ServiceSettings
from ..exceptions import NoClearAnswer
from ..protocol.codes import ResponseCode
from ..protocol.form_extensions import (
    CALLER_ID,
    CALLER_ID_FIELD,
    TO_EXTENSION,
    TO_EXTENSION_FIELD,
)
from ..protocol.reasons import HEADER, REASONS
from ..shared.doctor.checking import Finding, Level, Options, error, worst
from . import http, probe, query_api
from .base import Answer, BaseBackend, Order, Sent, ServiceCall, Verdict

MAX_BODY = 1024  # bytes; a response code has three at most
BAD_INPUT = 400  # our own service's answer to invalid input, for which the protocol has no code


class Click2CallBackend(BaseBackend):
    """Sends one form-encoded POST. Follows no redirects, which would forward the API key, and does
    not retry.
    """

    def place(self, order: Order) -> Answer:
        """See `BaseBackend.place`. Raises `ImproperlyConfigured` if `URL` is not set."""
        if not self.service.url:
            raise ImproperlyConfigured(
                f"The URL of the service {self.alias!r} is empty: name its click2call URL."
            )
        form = _form(order, self.service.api_key, self.service)
        try:
            found = http.exchange(self.service, "POST", self.service.url, MAX_BODY, data=form)
        except NoClearAnswer as error:
            return Answer(Verdict.UNKNOWN, detail=str(error))
        return _interpret(found.status, found.body, found.headers.get(HEADER, ""))

    def describe(self, order: Order) -> Sent:
        """The request, with the API key hidden, and the URL without credentials and query."""
        url = urlsplit(self.service.url)
        address = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))
        return Sent(f"POST {address}", _form(order, "…", self.service))

    @property
    def can_ask(self) -> bool:
        """Whether `CALLS_API` is set."""
        return bool(self.service.calls_api)

    def hang_up(self, webcallid: str, reference: str = "") -> bool:
        """See `BaseBackend.hang_up`. False without `CALLS_API`."""
        return self.can_ask and query_api.hang_up(self.service, webcallid)

    def look_up(self, webcallid: str, reference: str = "") -> ServiceCall | None:
        """See `BaseBackend.look_up`. None without `CALLS_API`."""
        return query_api.look_up(self.service, webcallid) if self.can_ask else None

    def account_currency(self) -> str:
        """See `BaseBackend.account_currency`. "" without `CALLS_API`."""
        return query_api.currency(self.service) if self.can_ask else ""

    def diagnose(self, options: Options) -> Iterator[Finding]:
        """Whether the service accepts this site and its key, by requests that ring nobody."""
        if not (self.service.url and self.service.api_key):
            yield error("URL or API_KEY is not set, so no call can be placed.", "Set both.")
            return
        found = [*probe.check_url(self.service, options)]
        yield from found
        if worst(found) < Level.ERROR:
            yield from probe.check_key(self.service, options)


def _form(order: Order, api_key: str, service: ServiceSettings) -> dict[str, str]:
    """The fields of the protocol, and the extensions that the service knows."""
    form = {
        "to": order.to_number,
        "from": order.from_number,
        "api_key": api_key,
        "custom": order.webcallid,
    }
    if order.event_url:
        form["eventurl"] = order.event_url
    if order.to_extension and TO_EXTENSION in service.service_extensions:
        form[TO_EXTENSION_FIELD] = order.to_extension
    if order.caller_id and CALLER_ID in service.service_extensions:
        form[CALLER_ID_FIELD] = order.caller_id
    return form


def _interpret(http_status: int, body: bytes, reason: str) -> Answer:
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
    if code is ResponseCode.OK:
        return Answer(Verdict.ACCEPTED, code, text)
    return Answer(Verdict.REJECTED, code, text, reason if reason in REASONS else "")
