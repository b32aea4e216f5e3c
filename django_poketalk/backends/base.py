"""The contract of a backend: send an order to a service once, and report what is certain."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from ..conf import DEFAULT_SERVICE, ServiceSettings, service
from ..protocol.codes import CallStatus, ResponseCode
from ..shared.doctor.checking import Finding, Options, info


@dataclass(frozen=True, slots=True)
class Order:
    """The data that a service requires. Numbers are in wire form: digits only, country code
    first. `to_extension` is the digits to dial after the callee's phone is answered, "" for none.
    `caller_id` is the number that the callee's phone should display, "" for the service's choice.
    """

    from_number: str
    to_number: str
    webcallid: str
    event_url: str = ""
    to_extension: str = ""
    caller_id: str = ""


class Verdict(enum.Enum):
    """What is certain about an order after sending it."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, the response code if there was one, the service's answer as text, and, if it said
    so, which of its reasons the code had (see `protocol.reasons`). `reference` is the id by which
    the service knows the call, if not by its `webcallid`, of 100 characters at most.
    """

    verdict: Verdict
    code: ResponseCode | None = None
    detail: str = ""
    cause: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request for display: its first line and its fields."""

    line: str
    fields: dict[str, str]


# Causes that say which phone ended a call
BY_CALLER, BY_CALLEE = "caller_hung_up", "callee_hung_up"


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """A call as the service knows it. `status` is None before a phone rang. `cause` says why it
    ended, in the service's words, such as `busy`, or is "". `duration` is in seconds.
    """

    is_over: bool
    status: CallStatus | None
    duration: int
    cost: Decimal
    cause: str = ""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """What a webhook reports: the call, by its `webcallid` or the service's `reference`, its
    status, the seconds since the caller answered, and the cost so far. None: not reported.
    """

    status: CallStatus
    webcallid: str = ""
    reference: str = ""
    duration: int | None = None
    cost: Decimal | None = None


class BaseBackend(ABC):
    """Places calls at one service. There is a new instance for each order, so keep connections on
    the class.

    Only `place` is required. A backend says what else it can do: with `can_ask`, that it can hang
    up and look up calls; with `receives_webhooks`, that it reads the service's reports.
    """

    receives_webhooks = False

    def __init__(self, alias: str = DEFAULT_SERVICE) -> None:
        self.alias = alias

    @property
    def service(self) -> ServiceSettings:
        """The settings of this service, such as `self.service.url`."""
        return service(self.alias)

    @property
    def options(self) -> Mapping[str, Any]:
        """The service's `OPTIONS`: the settings that only this backend uses."""
        return self.service.options or {}

    @abstractmethod
    def place(self, order: Order) -> Answer:
        """Send the order once.

        Raise `NotConnected` only if it is certain that no byte of the order was sent. The order is
        then retried. Return `Verdict.UNKNOWN` for all other failures. Any other exception has the
        same effect: the order is never sent again.
        """

    @property
    def can_ask(self) -> bool:
        """Whether `hang_up` and `look_up` can reach the service. If not, which is the default, they
        are not used, and a call that must end is ended by the answer to its next event.
        """
        return False

    def hang_up(self, webcallid: str, reference: str = "") -> bool:
        """Make the service end the call now. False if it does not know the call, or not yet.
        `reference` is that of the answer to `place`.

        May raise any exception. The answer to the call's next event then ends the call.
        """
        return False

    def look_up(self, webcallid: str, reference: str = "") -> ServiceCall | None:
        """What the service knows about the call, or None if it does not know it. May raise any
        exception if there is no clear answer.
        """
        return None

    def account_currency(self) -> str:
        """The currency (ISO 4217) of the site's account at the service. "", the default, if it is
        not known. Only used if the service can be asked (`can_ask`). May raise any exception.
        """
        return ""

    def describe(self, order: Order) -> Sent | None:
        """The request that `place` sends for this order, for display, with "…" in place of secrets.
        None, the default, if the backend does not support this.
        """
        return None

    def diagnose(self, options: Options) -> Iterable[Finding]:
        """What `poketalk_doctor` reports about the service: whether it answers, and accepts this
        site. Must not ring a phone, or take longer than `options.patience` seconds.
        """
        yield info(f"{type(self).__name__} has no checks of its own.")

    def parse_event(self, request: HttpRequest) -> WebhookEvent | None:
        """The report in a webhook, or None to ignore it.

        First compute the signature of `request.body`, compare it in constant time, and raise
        `InvalidSignature` if it is wrong. If the signature covers a time, refuse old signatures.
        Raise `ValueError` if the report cannot be read. Statuses only increase, so repeated and
        late reports do no harm.
        """
        raise NotImplementedError(f"{type(self).__name__} reads no webhooks.")

    @property
    def webhook_url(self) -> str:
        """Where this service sends its webhooks, or "" without `EVENT_BASE_URL`."""
        base_url = self.service.event_base_url
        path = reverse("poketalk:webhook", args=[self.alias]) if base_url else ""
        return base_url.rstrip("/") + path
