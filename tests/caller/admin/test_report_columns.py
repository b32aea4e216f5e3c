"""The figures of reports, and their changes, as people read them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from django_poketalk.admin.report_columns import COLUMNS
from django_poketalk.reports.figures import Figures


def delayed(milliseconds: int) -> Figures:
    return Figures(delay=timedelta(milliseconds=milliseconds), delays=1)


@pytest.mark.parametrize(
    ("name", "now", "before"),
    [
        ("pdd", delayed(500), delayed(520)),
        (
            "acd",
            Figures(talk=timedelta(minutes=1), talks=1),
            Figures(talk=timedelta(0, 60.2), talks=1),
        ),
        ("asr", Figures(seizures=3000, answered=1000), Figures(seizures=3000, answered=1001)),
        ("spend", Figures(spend=Decimal("1.0001")), Figures(spend=Decimal(1))),
    ],
)
def test_a_change_too_small_to_display_has_no_sign(
    name: str, now: Figures, before: Figures
) -> None:
    assert COLUMNS[name].change(now, before) == "±0"


def test_a_change_that_is_displayed_has_a_sign() -> None:
    assert COLUMNS["pdd"].change(delayed(500), delayed(560)) == "−0.1\N{NO-BREAK SPACE}s"


def test_spend_is_rounded() -> None:
    assert COLUMNS["spend"].text(Figures(spend=Decimal("1.0019"))) == "1.002"
