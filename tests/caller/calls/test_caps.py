"""The caps are counted in one statement, which reads no more calls than it counts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_poketalk.backends import locmem
from django_poketalk.calls import caps, placing, requesting
from django_poketalk.models import CallRequest

from ..conftest import CALLEE, CALLER

BY_USER_AND_NUMBER: dict[str, Any] = {
    "LIVE_CALLS_PER_USER": 9,
    "CALLS_PER_HOUR_PER_USER": 9,
    "SPEND_PER_DAY_PER_USER": Decimal(9),
    "CALLS_PER_HOUR_PER_CALLEE": 9,
    "CALLS_PER_HOUR_PER_CALLER_PHONE": 9,
}
ALL = BY_USER_AND_NUMBER | {"LIVE_CALLS": 9, "CALLS_PER_HOUR": 9, "SPEND_PER_DAY": Decimal(9)}
FULL_SCANS = {
    "postgresql": ("Seq Scan",),
    "sqlite": ("SCAN poketalk_callrequest", "SCAN U0"),
}


def counted(user: Any) -> dict[str, Any]:
    call = requesting.quote(from_number=CALLER, to_number=CALLEE, user=user).call
    return {cap.name: cap.used for cap in caps.caps(call)}


def test_each_cap_counts_its_own_calls(
    poketalk: Callable[..., None],
    user: Any,
    django_user_model: Any,
    new_call: Callable[..., CallRequest],
) -> None:
    other_callee, other_caller = "+442079460777", "+442079460888"
    ben = django_user_model.objects.create_user("ben")
    for who, from_number, to_number in (
        (user, CALLER, CALLEE),
        (user, CALLER, other_callee),
        (user, other_caller, other_callee),
        (ben, other_caller, CALLEE),
        (ben, other_caller, CALLER),
        (None, other_caller, other_callee),
    ):
        new_call(user=who, from_number=from_number, to_number=to_number)
    CallRequest.objects.update(cost=Decimal("0.25"))
    poketalk(**{name: limit * 9 for name, limit in ALL.items()})

    assert counted(user) == {
        "live_calls_per_user": 3,
        "calls_per_hour_per_user": 3,
        "spend_per_day_per_user": Decimal("0.75"),
        "calls_per_hour_per_callee": 2,
        "calls_per_hour_per_caller_phone": 3,
        "live_calls": 6,
        "calls_per_hour": 6,
        "spend_per_day": Decimal("1.5"),
    }


@pytest.mark.parametrize("name", ALL)
def test_a_cap_alone_counts_as_it_does_among_the_others(
    name: str, poketalk: Callable[..., None], user: Any, new_call: Callable[..., CallRequest]
) -> None:
    new_call(user=user)
    new_call(user=None, to_number="+442079460777")
    CallRequest.objects.update(cost=Decimal("0.25"))
    poketalk(**ALL)
    among_all = counted(user)
    poketalk(**{**dict.fromkeys(ALL), name: ALL[name]})

    assert counted(user) == {name.lower(): among_all[name.lower()]}


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor not in FULL_SCANS, reason="its plans read otherwise")
@pytest.mark.parametrize("limits", [BY_USER_AND_NUMBER, ALL])
def test_no_cap_reads_all_calls(
    limits: dict[str, Any], poketalk: Callable[..., None], user: Any
) -> None:
    poketalk(**limits)
    with CaptureQueriesContext(connection) as captured:
        counted(user)
    statement = captured[-1]["sql"].replace("%", "%%")

    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # the table is empty, and would be read whole
            cursor.execute("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        cursor.execute(f"{explain} {statement}")
        plan = "\n".join(str(row) for row in cursor.fetchall())

    assert "poketalk_callrequest" in plan
    assert not [scan for scan in FULL_SCANS[connection.vendor] if scan in plan], plan


@pytest.mark.django_db(transaction=True)
def test_a_call_takes_few_statements(
    poketalk: Callable[..., None], user: Any, django_assert_max_num_queries: Any
) -> None:
    poketalk(**{name: limit * 9 for name, limit in ALL.items()})

    with django_assert_max_num_queries(10):  # BEGIN and COMMIT count; without caps, 8
        call = requesting.request_call(from_number=CALLER, to_number=CALLEE, user=user)
        placing.place(call.pk)

    assert len(locmem.outbox) == 1
