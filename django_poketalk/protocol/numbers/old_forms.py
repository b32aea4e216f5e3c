"""Forms of numbers that stand in old address books and by law reach nobody else today.

Only where the old number has exactly one new form. Renumberings that insert digits by operator or
type, such as those of Benin (2024) and Ivory Coast (2021), are not covered.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class OldForm(NamedTuple):
    """How the part behind the country code was written, and how it is written today. `source` is
    the regulation.
    """

    code: str
    region: str
    written: re.Pattern[str]
    today: str
    source: str


OLD_FORMS = (
    OldForm(
        "52",
        "MX",
        re.compile(r"(?:044|045|01|1)([2-9][0-9]{9})"),
        r"\1",
        "Mexico: IFT, Plan Técnico Fundamental de Numeración (DOF 11 May 2018), in force since"
        " 3 August 2019: ten digits, without 01, 044, 045 and, from abroad, without 1",
    ),
)


def today(code: str, national: str) -> str:
    """The number behind this country code as it is written today."""
    for form in OLD_FORMS:
        if form.code == code and form.written.fullmatch(national):
            return form.written.sub(form.today, national)
    return national


def national(digits: str, region: str | None) -> str:
    """Digits without country code, written in this region, as they are written today."""
    code = next((form.code for form in OLD_FORMS if form.region == region), "")
    return today(code, digits)
