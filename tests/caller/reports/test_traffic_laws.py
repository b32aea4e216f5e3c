"""Properties of reports for any calls and any numbers."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from django_poketalk.models import CallRequest, Placement, WrapUp
from django_poketalk.protocol import numbers
from django_poketalk.reports import outcomes, traffic
from django_poketalk.reports.figures import Figures
from django_poketalk.reports.traffic import Period

from ..people import someone
from .test_traffic import NOON, NUMBERS, WEEK, add, rang, talked

KINDS = ("fixed_line", "mobile", "toll_free", "premium_rate", "voip")
KEYS: dict[str, Callable[[CallRequest], Any]] = {
    "day": lambda call: call.created_at.date(),
    "user": lambda call: call.user_id,
    "team": lambda call: call.user and call.user.groups.values_list("pk", flat=True).first(),
    "country": lambda call: numbers.country(call.to_number) or "",
    "outcome": lambda call: outcomes.of(call.placement, call.status, call.is_open),
    "service": lambda call: call.service,
    "disposition": lambda call: call.wrapped_up.disposition if call.wrapped_up else "",
}


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(3))
def test_all_groupings_have_the_same_total(seed: int) -> None:
    rng = random.Random(seed)
    anna = someone("anna")
    anna.groups.add(Group.objects.create(name="Sales"))
    users = [anna, someone("bob"), None]
    for _ in range(200):
        random_call(rng, users)
    calls = CallRequest.objects.all()
    whole = _naive(WEEK, lambda call: "all")["all"]

    for by, function in traffic.BY.items():
        report = function(calls, WEEK)
        found = {row.key: row.figures for row in report.rows if row.figures.calls}

        assert found == _naive(WEEK, KEYS[by]), by
        assert report.total == whole, by
        assert len({row.key for row in report.rows}) == len(report.rows), by


def random_call(rng: random.Random, users: list[Any]) -> None:
    when = NOON + timedelta(hours=rng.randint(-150, 150))
    facts: dict[str, Any] = {
        "user": rng.choice(users),
        "service": rng.choice(["default", "acme"]),
        "to_number": rng.choice(NUMBERS),
        "cost": Decimal(rng.randint(0, 9999)) / 1000,
        "placement": rng.choice(Placement.values),
        "response_code": rng.choice(["", "60", "70", "90"]),
    }
    make: Callable[..., CallRequest] = rng.choice([talked, rang, add])
    if make is talked:
        facts["seconds"] = rng.randint(0, 300)
    elif make is add:
        facts["status"] = rng.choice([None, *range(9)])
        facts["stale_at"] = rng.choice([None, when])
    if facts["placement"] == Placement.REJECTED and not facts["response_code"]:
        facts["response_code"] = "70"
    call = make(when=when, **facts)
    if rng.random() < 0.6:  # "" is a note without a result
        WrapUp.objects.create(call=call, disposition=rng.choice(["sold", "refused", ""]))


def _naive(period: Period, key: Callable[[CallRequest], Any]) -> dict[Any, Figures]:
    """What a loop over the rows counts, without the database's sums."""
    found: dict[Any, Figures] = defaultdict(Figures)
    for call in CallRequest.objects.all():
        if period.begins <= call.created_at < period.ends:
            found[key(call)] += _of_one(call)
    return dict(found)


def _of_one(call: CallRequest) -> Figures:
    over = not call.is_open
    answered = call.b_answered_at is not None or call.status in (7, 8)
    rung = call.b_initiated_at is not None or call.status in (5, 6, 7, 8)
    theirs = call.placement == "rejected" and call.response_code in ("", "60")
    requested = over and call.placement not in ("cancelled", "expired") and not theirs
    delay = _between(call.sent_at, call.a_initiated_at)
    return Figures(
        calls=1,
        seizures=int(rung and (over or answered)),
        answered=int(answered),
        requested=int(requested),
        delivered=int(requested and (answered or call.status in (2, 4, 6))),
        talk=timedelta(seconds=call.talk_time if over else 0),
        talks=int(over and answered),
        delay=delay or timedelta(0),
        delays=int(delay is not None),
        spend=call.cost,
    )


def _between(first: Any, last: Any) -> timedelta | None:
    return last - first if first and last and last >= first else None


def _valid(code: int) -> set[str]:
    """What the numbers of each country with this code look like, behind the code."""
    found = set()
    for region in COUNTRY_CODE_TO_REGION_CODE[code]:
        known = PhoneMetadata.metadata_for_region(region)
        for kind in KINDS:
            found.add(getattr(getattr(known, kind), "national_number_pattern", None))
    return {pattern for pattern in found if pattern}


@pytest.mark.parametrize(
    "code", sorted(code for code, found in COUNTRY_CODE_TO_REGION_CODE.items() if len(found) > 1)
)
def test_the_grouped_prefix_determines_the_country(code: int) -> None:
    countries: dict[str, dict[str, str]] = defaultdict(dict)
    patterns = [re.compile(pattern, re.ASCII) for pattern in sorted(_valid(code))]

    @settings(
        max_examples=max(5, 2 * settings.default.max_examples // len(patterns)),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(st.tuples(*(st.from_regex(pattern, fullmatch=True) for pattern in patterns)))
    def gather(found: tuple[str, ...]) -> None:
        for national in found:
            number = f"+{code}{national}"
            if country := numbers.country(number):
                countries[_looked_at(number)].setdefault(country, number)

    gather()

    assert countries
    assert [found for found in countries.values() if len(found) > 1] == []


def test_the_grouped_prefix_includes_the_longest_country_code() -> None:
    alone = [code for code, found in COUNTRY_CODE_TO_REGION_CODE.items() if len(found) == 1]

    assert max(len(f"+{code}") for code in alone) == numbers.COUNTRY_LENGTH
    for beginning in numbers.COUNTRY_LENGTHS:
        sharing = [
            regions
            for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()
            if beginning.startswith(f"+{code}")
        ]
        shares = [len(regions) > 1 for regions in sharing] == [True]
        assert shares or numbers.country(f"{beginning}0000000") is None, beginning


def _looked_at(number: str) -> str:
    lengths = [
        (len(beginning), length)
        for beginning, length in numbers.COUNTRY_LENGTHS.items()
        if number.startswith(beginning)
    ]
    return number[: max(lengths)[1] if lengths else numbers.COUNTRY_LENGTH]
