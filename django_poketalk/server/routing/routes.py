"""Routing of a number: its longest prefix, and the gateways to try, in order. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Protocol, TypeVar

from django_poketalk.protocol.numbers import is_internal

from .trunk import AsteriskTrunk, Trunk


class Carries(enum.StrEnum):
    """Which numbers a gateway reaches: E.164 numbers, internal numbers of a PBX, or both."""

    EXTERNAL = "external"
    INTERNAL = "internal"
    BOTH = "both"


class Route(Protocol):
    """The fields of a gateway for routing. `prefixes` are separated by spaces; none means all.
    `numbers` is one of `Carries`.
    """

    pk: int
    priority: int
    prefixes: str
    numbers: str


class Bridging(Protocol):
    """The fields of a gateway that decide with which others its legs can be bridged."""

    @property
    def kind(self) -> str:
        """The kind of gateway."""

    @property
    def trunk(self) -> Trunk | None:
        """Its connection settings; None for simulated phones."""


R = TypeVar("R", bound=Route)
B = TypeVar("B", bound=Bridging)


def prefixes_of(number: str) -> list[str]:
    """All prefixes of a number (digits only), from the empty one to the number itself."""
    return [number[:length] for length in range(len(number) + 1)]


def longest_prefix(number: str, prefixes: Iterable[str]) -> str | None:
    """The longest of `prefixes` that begins `number` (digits only), or None. Empty matches all."""
    return max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default=None)


def gateways_for(number: str, gateways: Iterable[R]) -> list[R]:
    """The gateways for `number` (digits), by longest matching prefix, lowest priority, then age.

    Only gateways for its kind of number. Those for both kinds have prefixes of E.164 numbers, and
    reach every internal number.
    """
    reaching = [
        (len(prefix), gateway)
        for gateway in gateways
        if (prefix := longest_prefix(number, _prefixes(gateway, number))) is not None
    ]
    reaching.sort(key=lambda found: (-found[0], found[1].priority, found[1].pk))
    return [gateway for _length, gateway in reaching]


def pairs(legs_a: Iterable[B], legs_b: Iterable[B]) -> list[tuple[B, B]]:
    """The gateways for leg A, each with those for leg B whose legs can be bridged with its own."""
    groups_b = [(b, _bridge_group(b)) for b in legs_b]
    return [(a, b) for a in legs_a for b, group in groups_b if group == _bridge_group(a)]


def _bridge_group(gateway: Bridging) -> tuple[str, ...]:
    """Equal for all gateways whose legs can be bridged: those of one kind, or of one Asterisk, to
    which they are connected in the same way.
    """
    trunk = gateway.trunk
    if isinstance(trunk, AsteriskTrunk):
        return (gateway.kind, trunk.url, trunk.application, trunk.username, trunk.password)
    return (gateway.kind,)


def _prefixes(gateway: Route, number: str) -> list[str]:
    """The prefixes of the gateway for this kind of number; none if it does not carry the kind."""
    kind = Carries.INTERNAL if is_internal(number) else Carries.EXTERNAL
    if gateway.numbers not in (kind, Carries.BOTH):
        return []
    is_for_all = kind is Carries.INTERNAL and gateway.numbers == Carries.BOTH
    return [""] if is_for_all else gateway.prefixes.split() or [""]


def longest_of_kind(number: str, prefixes: Iterable[tuple[bool, str]]) -> tuple[bool, str] | None:
    """The longest prefix for `number` (digits) among pairs of "is internal" and prefix, or None.
    Those of the other kind of number never match.
    """
    kind = is_internal(number)
    prefix = longest_prefix(number, (each for internal, each in prefixes if internal == kind))
    return None if prefix is None else (kind, prefix)
