"""The contract of a backend: take one order to a service, once, and say what is certain then."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..protocol.codes import ResponseCode


@dataclass(frozen=True, slots=True)
class Order:
    """What a service needs to know. Numbers are in wire form: digits only, country code first."""

    from_number: str
    to_number: str
    webcallid: str
    event_url: str = ""


class Verdict(enum.Enum):
    """What is certain after asking."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, the response code if one came, and what was said, for people."""

    verdict: Verdict
    code: ResponseCode | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as people may read it: its first line, and its fields."""

    line: str
    fields: dict[str, str]


class BaseBackend(ABC):
    """Places calls. One instance serves one order; share what is costly on the class."""

    @abstractmethod
    def place(self, order: Order) -> Answer:
        """Ask for the call, once.

        Raises `NotConnected` only when certainly no byte of the order has left: the order will then
        be tried again. Whatever else goes wrong is `Verdict.UNKNOWN`, and so is any other
        exception: the order is never sent again.
        """

    def shown(self, order: Order) -> Sent | None:
        """What `place` sends for this order, for people to read: secrets as "…". None, as here,
        where a backend does not tell.
        """
        return None
