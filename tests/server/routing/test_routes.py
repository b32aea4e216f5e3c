"""Which way a number goes."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.server.routing.routes import gateways_for, longest_prefix, prefixes_of

numbers = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
prefixes = st.from_regex(r"[0-9]{0,6}", fullmatch=True)


@dataclass(frozen=True)
class Way:
    pk: int
    prefixes: str = ""
    priority: int = 10


@given(numbers, st.lists(prefixes))
def test_no_prefix_that_fits_is_longer_than_the_one_found(number: str, choice: list[str]) -> None:
    found = longest_prefix(number, choice)
    fitting = [prefix for prefix in choice if number.startswith(prefix)]
    assert found in fitting if fitting else found is None
    assert all(len(prefix) <= len(found or "") for prefix in fitting)


def test_the_empty_prefix_fits_every_number() -> None:
    assert longest_prefix("442079460123", ["", "33"]) == ""
    assert longest_prefix("442079460123", ["33"]) is None


def test_prefixes_of_a_number_run_from_nothing_to_all_of_it() -> None:
    assert prefixes_of("123") == ["", "1", "12", "123"]


def test_gateways_go_by_longest_prefix_then_priority_then_age() -> None:
    ways = [
        Way(1, priority=1),
        Way(2, "44 33", priority=9),
        Way(3, "4420"),
        Way(4, "44", priority=5),
        Way(5, "4420"),
        Way(6, "33"),
    ]
    for seed in range(5):
        random.Random(seed).shuffle(ways)
        assert [way.pk for way in gateways_for("442079460123", ways)] == [3, 5, 4, 2, 1]


def test_a_gateway_without_prefixes_reaches_all_numbers_and_others_only_theirs() -> None:
    assert gateways_for("5511987654321", [Way(1), Way(2, "44")]) == [Way(1)]
    assert gateways_for("5511987654321", [Way(2, "44")]) == []
