"""Numbers in the format of a trunk: those that it dials, and those that it displays."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.server.routing.trunk import ANONYMOUS, Trunk

UK, LONDON, FRANCE = "442079460000", "442079460999", "33612345678"


@pytest.mark.parametrize(
    ("strip", "add", "other", "displayed"),
    [
        (0, "", LONDON, LONDON),
        (0, "+", LONDON, f"+{LONDON}"),
        (0, "00", LONDON, f"00{LONDON}"),
        (2, "+44", LONDON, f"+{LONDON}"),
        (2, "0", LONDON, "02079460999"),
        (2, "0", FRANCE, f"+{FRANCE}"),  # its country code is not the one that is stripped
        (0, "*67", LONDON, LONDON),  # a code for dialing
        (2, "", "0800123", "0800123"),  # no international number
        (0, "+", "", ""),
    ],
)
def test_the_caller_id_has_the_format_of_dialed_numbers(
    strip: int, add: str, other: str, displayed: str
) -> None:
    trunk = Trunk(strip=strip, add=add)

    assert trunk.caller_id_for(other, UK) == displayed


@pytest.mark.parametrize("field", ["caller_id", "presented"])
def test_fixed_and_presented_numbers_have_that_format_too(field: str) -> None:
    trunk = Trunk(add="+", **{field: LONDON})  # type: ignore[arg-type]

    assert trunk.caller_id_for(FRANCE, UK) == f"+{LONDON}"


def test_only_a_trunk_to_internal_numbers_displays_them() -> None:
    assert Trunk().caller_id_for("1001", UK) == ANONYMOUS
    assert Trunk(fallback=LONDON).caller_id_for("1001", UK) == LONDON
    assert Trunk(is_internal=True, add="+").caller_id_for("1001", "1002") == "1001"


texts = st.text(max_size=12) | st.text('0123456789+*#&@;\r\n <>"', max_size=12)


@given(texts, texts, texts, texts, st.integers(0, 14), st.sampled_from(["", "+", "00", "*67#"]))
def test_a_caller_id_is_digits_or_nothing_at_all(
    other: str, fixed: str, presented: str, dialed: str, strip: int, add: str
) -> None:
    trunk = Trunk(caller_id=fixed, presented=presented, strip=strip, add=add)
    try:
        caller_id = trunk.caller_id_for(other, dialed)
    except ValueError:
        return
    assert caller_id == ANONYMOUS or re.fullmatch("[+]?[0-9]*", caller_id)
