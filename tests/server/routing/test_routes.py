"""Routing of numbers to gateways."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.server.routing.routes import (
    Carries,
    gateways_for,
    longest_prefix,
    prefixes_of,
)

numbers = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
prefixes = st.from_regex(r"[0-9]{0,6}", fullmatch=True)


@dataclass(frozen=True)
class FakeGateway:
    pk: int
    prefixes: str = ""
    priority: int = 10
    numbers: str = Carries.EXTERNAL


@given(numbers, st.lists(prefixes))
def test_finds_the_longest_matching_prefix(number: str, choice: list[str]) -> None:
    found = longest_prefix(number, choice)
    matching = [prefix for prefix in choice if number.startswith(prefix)]
    assert found in matching if matching else found is None
    assert all(len(prefix) <= len(found or "") for prefix in matching)


def test_the_empty_prefix_matches_every_number() -> None:
    assert longest_prefix("442079460123", ["", "33"]) == ""
    assert longest_prefix("442079460123", ["33"]) is None


def test_returns_all_prefixes_of_a_number() -> None:
    assert prefixes_of("123") == ["", "1", "12", "123"]


def test_orders_gateways_by_longest_prefix_then_priority_then_age() -> None:
    gateways = [
        FakeGateway(1, priority=1),
        FakeGateway(2, "44 33", priority=9),
        FakeGateway(3, "4420"),
        FakeGateway(4, "44", priority=5),
        FakeGateway(5, "4420"),
        FakeGateway(6, "33"),
    ]
    for seed in range(5):
        random.Random(seed).shuffle(gateways)
        assert [gateway.pk for gateway in gateways_for("442079460123", gateways)] == [3, 5, 4, 2, 1]


def test_a_gateway_without_prefixes_reaches_all_numbers() -> None:
    assert gateways_for("5511987654321", [FakeGateway(1), FakeGateway(2, "44")]) == [FakeGateway(1)]
    assert gateways_for("5511987654321", [FakeGateway(2, "44")]) == []
