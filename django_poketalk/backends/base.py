"""The contract of a backend: send an order to a service once, and report what is certain."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..protocol.codes import ResponseCode


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
    """A verdict, the response code if there was one, and the service's answer as text."""

    verdict: Verdict
    code: ResponseCode | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request for display: its first line and its fields."""

    line: str
    fields: dict[str, str]


class BaseBackend(ABC):
    """Places calls. There is a new instance for each order, so keep connections on the class."""

    @abstractmethod
    def place(self, order: Order) -> Answer:
        """Send the order once.

        Raise `NotConnected` only if it is certain that no byte of the order was sent. The order is
        then retried. Return `Verdict.UNKNOWN` for all other failures. Any other exception has the
        same effect: the order is never sent again.
        """

    def describe(self, order: Order) -> Sent | None:
        """The request that `place` sends for this order, for display, with "…" in place of secrets.
        None if the backend does not support this, as here.
        """
        return None
