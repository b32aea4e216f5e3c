"""Routing of a number: its longest prefix, and the gateways to try, in order. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Route(Protocol):
    """The fields of a gateway for routing. `prefixes` are separated by spaces; none means all."""

    @property
    def pk(self) -> int: ...

    @property
    def priority(self) -> int: ...

    @property
    def prefixes(self) -> str: ...


R = TypeVar("R", bound=Route)


def prefixes_of(number: str) -> list[str]:
    """All prefixes of a number (digits only), from the empty one to the number itself."""
    return [number[:length] for length in range(len(number) + 1)]


def longest_prefix(number: str, prefixes: Iterable[str]) -> str | None:
    """The longest of `prefixes` that begins `number` (digits only), or None. Empty matches all."""
    return max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default=None)


def gateways_for(number: str, gateways: Iterable[R]) -> list[R]:
    """The gateways for `number` (digits), by longest matching prefix, lowest priority, then age."""
    reaching = [
        (len(prefix), gateway)
        for gateway in gateways
        if (prefix := longest_prefix(number, gateway.prefixes.split() or [""])) is not None
    ]
    reaching.sort(key=lambda found: (-found[0], found[1].priority, found[1].pk))
    return [gateway for _length, gateway in reaching]
