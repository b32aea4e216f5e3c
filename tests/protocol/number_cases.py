"""The numbers of `cases/numbers.csv` with their right answers: each stands for a kind of fault.

The columns: `kind`; `text`, with `\\uXXXX` for characters that cannot be seen; `region`, empty for
none, `wire` for a request to the service; `expected`, see `Case.accepts`; `why`.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

REFUSED = "refused"
ALLOWED = "allowed"
WIRE = "wire"

#: Kinds that are judged where the region's own numbers, and no others, may be called.
JUDGED = ("overlong_premium", "uan_not_premium", "foreign_part_of_country_code")


@dataclass(frozen=True, slots=True)
class Case:
    kind: str
    text: str
    region: str | None
    expected: str

    def accepts(self, answer: str) -> bool:
        """Whether it is right: an E.164 number (with `;ext=` and its extension), `refused` or
        `allowed`.
        """
        return answer in self.expected.split(" or ")

    @property
    def is_on_wire(self) -> bool:
        return self.region == WIRE

    def __str__(self) -> str:
        return f"{self.kind}-{self.text.encode('unicode_escape').decode()}-{self.region}"


def load() -> list[Case]:
    with (Path(__file__).parent / "cases" / "numbers.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        return [
            Case(row["kind"], _decoded(row["text"]), row["region"] or None, row["expected"])
            for row in csv.DictReader(file)
        ]


def _decoded(text: str) -> str:
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), text)


CASES = load()
CALLERS = [case for case in CASES if not case.is_on_wire and case.kind != "phonenumber_objects"]
OBJECTS = [case for case in CASES if case.kind == "phonenumber_objects"]
ON_WIRE = [case for case in CASES if case.is_on_wire]
