"""Calls in the API: reading, filtering and ending them, each with its permissions."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.calls import requesting
from django_poketalk.models import CallEvent, CallRequest

from ..conftest import CALLEE, CALLER
from ..people import agent, connected, contact, contains_number, someone
from .rest_client import CALLS, client, post, problem

pytestmark = pytest.mark.django_db
NewCall = Callable[..., CallRequest]
MASKED = "+44 ••••••••23"


def ids(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [call["id"] for call in response.json()["results"]]


# Watching


def test_the_list_has_the_user_s_own_calls_or_all(new_call: NewCall) -> None:
    anna, boss = agent(), someone("boss", "view_callrequest")
    theirs, mine = new_call(), new_call(user=anna)

    assert ids(client(anna).get(CALLS)) == [mine.pk]
    assert ids(client(boss).get(CALLS)) == [mine.pk, theirs.pk]
    assert ids(client(someone("eve")).get(CALLS)) == []


@pytest.mark.parametrize("permission", ["view_callrequest", "change_callrequest"])
def test_users_who_see_all_calls_in_the_admin_see_them_in_the_api(
    new_call: NewCall, permission: str
) -> None:
    clerk = someone("clerk", permission)
    clerk.is_staff = True
    clerk.save()
    call = new_call()

    admin = client(clerk).get(f"/admin/poketalk/callrequest/{call.pk}/change/")
    assert admin.status_code == 200
    assert ids(client(clerk).get(CALLS)) == [call.pk]


def test_a_call_that_the_user_may_not_see_is_404(new_call: NewCall) -> None:
    call = new_call()
    asking = client(agent())

    problem(asking.get(f"{CALLS}{call.pk}/"), 404, "not_found")
    problem(post(asking, f"{CALLS}{call.pk}/hang-up/"), 404, "not_found")
    call.refresh_from_db()
    assert call.is_open


@pytest.mark.parametrize(
    "pk", ["0", "٣", "1_0", "x", "-1", "1.0", "9" * 18, "9" * 60, "%00", "1%00"]
)
def test_an_invalid_id_is_404(pk: str) -> None:
    problem(client(agent()).get(f"{CALLS}{pk}/"), 404, "not_found")


def test_numbers_are_masked_for_users_who_may_not_see_them(new_call: NewCall) -> None:
    call = new_call(user=agent())
    CallRequest.objects.update(response_detail=f"{CALLEE} is not served")
    masked = client(someone("clerk", "view_callrequest"))
    whole = client(someone("boss", "view_callrequest", "view_numbers"))

    for data in (masked.get(f"{CALLS}{call.pk}/").json(), *masked.get(CALLS).json()["results"]):
        assert data["to_number"] == MASKED
        assert data["from_number"] == "+44 ••••••••00"
        assert not contains_number(str(data))
    assert whole.get(f"{CALLS}{call.pk}/").json()["to_number"] == CALLEE
    assert whole.get(CALLS).json()["results"][0]["response_detail"] == f"{CALLEE} is not served"


def test_a_call_has_its_events_for_users_who_may_see_them(new_call: NewCall) -> None:
    call = connected(new_call(user=agent()))
    for status in (1, 3, 5, 7):
        CallEvent.objects.create(
            call=call, status=status, duration=status, cost=Decimal("0.1"), answer=200
        )
    own = client(call.user).get(f"{CALLS}{call.pk}/").json()
    clerk = client(someone("clerk", "view_callrequest")).get(f"{CALLS}{call.pk}/").json()
    boss = someone("boss", "view_callrequest", "view_callevent")

    assert [event["status"] for event in own["events"]] == [1, 3, 5, 7]
    assert own["events"][0]["cost"] == "0.100000"
    assert own["events_cut"] is False
    assert own["phase"] == "talking"
    assert own["cost"] == "0.420500"
    assert clerk["events"] is None
    assert len(client(boss).get(f"{CALLS}{call.pk}/").json()["events"]) == 4


def test_only_the_latest_events_are_included(new_call: NewCall) -> None:
    call = new_call(user=agent())
    CallEvent.objects.bulk_create(
        CallEvent(call=call, status=7, duration=number, answer=200) for number in range(205)
    )
    data = client(call.user).get(f"{CALLS}{call.pk}/").json()

    assert [event["duration"] for event in data["events"]] == list(range(5, 205))
    assert data["events_cut"] is True


def test_pages_are_limited_and_have_no_gaps(new_call: NewCall) -> None:
    boss = client(someone("boss", "view_callrequest"))
    template = new_call()
    CallRequest.objects.bulk_create(
        CallRequest(from_number=CALLER, to_number=CALLEE, max_duration=1, expires_at=timezone.now())
        for _ in range(204)
    )
    newest = sorted(CallRequest.objects.values_list("pk", flat=True), reverse=True)

    first = boss.get(CALLS)
    second = boss.get(first.json()["next"])
    assert ids(first) + ids(second) == newest[:100]
    assert len(ids(boss.get(CALLS, {"page_size": 200}))) == 200
    assert newest[-1] == template.pk


def test_the_number_of_queries_does_not_depend_on_the_number_of_calls(
    new_call: NewCall, django_assert_num_queries: Any
) -> None:
    people = [agent(name) for name in "abcdefghij"]
    contacts = [contact(name) for name in "abcdefghij"]
    for user, subject in zip(people, contacts, strict=True):
        new_call(user=user, subject=subject)
    boss = client(someone("boss", "view_callrequest"))
    boss.get(CALLS)

    # session, user, 2 × permissions, calls, subjects; wrap-ups, call backs, metadata
    with django_assert_num_queries(9):
        assert len(ids(boss.get(CALLS))) == 10


def test_one_call_makes_few_queries(new_call: NewCall, django_assert_num_queries: Any) -> None:
    call = new_call(user=agent(), subject=contact())
    boss = client(someone("boss", "view_callrequest", "view_callevent"))
    boss.get(CALLS)

    with django_assert_num_queries(7):  # as above, and the events
        assert boss.get(f"{CALLS}{call.pk}/").status_code == 200


# Filters


def test_the_list_is_filtered(new_call: NewCall) -> None:
    anna, bob = agent("anna"), contact()
    boss = client(someone("boss", "view_callrequest", "view_numbers"))
    old = new_call()
    CallRequest.objects.filter(pk=old.pk).update(
        created_at=timezone.now() - timedelta(days=2),
        status=8,
        placement="accepted",
        ended_at=timezone.now(),
    )
    hers = new_call(user=anna, to_number="+442079460124")
    about = new_call(subject=bob)

    def found(**query: Any) -> list[int]:
        return ids(boss.get(CALLS, query))

    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    assert found(status=8) == [old.pk]
    assert found(status=[7, 8]) == [old.pk]
    assert found(placement="accepted") == [old.pk]
    assert found(placement=["queued", "accepted"]) == [about.pk, hers.pk, old.pk]
    assert found(open="true") == [about.pk, hers.pk]
    assert found(open="1") == [about.pk, hers.pk]
    assert found(open="False") == [old.pk]
    assert found(open="0") == [old.pk]
    assert found(created_after=yesterday) == [about.pk, hers.pk]
    assert found(created_before=yesterday) == [old.pk]
    assert found(user=anna.pk) == [hers.pk]
    assert found(user=anna.pk + 999) == []
    assert found(subject_type="crm.contact") == [about.pk]
    assert found(subject_type="crm.contact", subject_id=bob.pk) == [about.pk]
    assert found(subject_type="crm.contact", subject_id="999") == []
    assert found(subject_type="no.thing") == []
    assert found(number="+44 20 7946 0124") == [hers.pk]
    assert found(number=CALLER) == [about.pk, hers.pk, old.pk]


def test_a_number_that_the_user_may_not_see_is_not_found(new_call: NewCall) -> None:
    clerk = someone("clerk", "view_callrequest")
    new_call()
    mine = new_call(user=clerk)

    assert ids(client(clerk).get(CALLS, {"number": CALLEE})) == [mine.pk]


def test_calls_from_an_internal_number_are_found(new_call: NewCall) -> None:
    anna = agent()
    new_call(user=anna)
    desk = new_call(user=anna)
    CallRequest.objects.filter(pk=desk.pk).update(from_number="1001")

    assert ids(client(anna).get(CALLS, {"number": "1001"})) == [desk.pk]
    assert ids(client(anna).get(CALLS, {"number": "100"})) == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"status": "9"}, "status"),
        ({"status": "٣"}, "status"),
        ({"placement": "x"}, "placement"),
        ({"placement": "\x00"}, "placement"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_after": "9999-12-31T23:59:59-23:59"}, "created_after"),
        ({"created_before": "0001-01-01T00:00:00+14:00"}, "created_before"),
        ({"created_before": "٢٠٢٦-01-01T00:00:00Z"}, "created_before"),
        ({"user": "x"}, "user"),
        ({"user": "٣"}, "user"),
        ({"user": "\x00"}, "user"),
        ({"subject_id": "1"}, "subject_id"),
        ({"subject_type": "x" * 300}, "subject_type"),
        ({"subject_type": "crm.contact", "subject_id": "\x00"}, "subject_id"),
        ({"number": "1"}, "number"),
        ({"number": "\x00"}, "number"),
        ({"number": "1" * 5000}, "number"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": base64.b64encode(b"p=x").decode()}, "cursor"),
        ({"cursor": base64.b64encode("p=٣".encode()).decode()}, "cursor"),
        ({"cursor": base64.b64encode(b"p=" + b"9" * 30).decode()}, "cursor"),
        ({"cursor": base64.b64encode(b"o=9999999&p=1").decode()}, False),
        ({"user": "9" * 30}, "user"),
        ({"page_size": "x"}, "page_size"),
        ({"page_size": "-1"}, "page_size"),
        ({"page_size": "201"}, "page_size"),
        ({"open": "perhaps"}, "open"),
        ({"open": "2"}, "open"),
        ({"open": "١"}, "open"),
        ({"open": ""}, False),
        ({"created_after": "2026-01-01T00:00:00-23:59"}, False),
    ],
)
def test_an_invalid_parameter_is_an_error(query: Any, parameter: Any) -> None:
    response = client(agent()).get(CALLS, query)

    if parameter is False:
        assert ids(response) == []
    else:
        data = problem(response, 400, "invalid")
        assert {each["parameter"] for each in data["errors"]} == {parameter}


# Ending


def test_an_owner_hangs_up(new_call: NewCall) -> None:
    call = connected(new_call(user=agent()))
    response = post(client(call.user), f"{CALLS}{call.pk}/hang-up/")

    assert response.status_code == 200
    assert response.json()["phase"] == "ending"
    assert response.json()["may_hang_up"] is False
    assert response.json()["hangup_requested_by"] == call.user_id
    call.refresh_from_db()
    assert call.hangup_requested_at is not None


def test_ending_another_user_s_call_requires_the_permission(new_call: NewCall) -> None:
    call = new_call(user=agent())
    path = f"{CALLS}{call.pk}/hang-up/"

    problem(post(client(someone("clerk", "view_callrequest")), path), 403, "permission_denied")
    boss = someone("boss", "view_callrequest", "hang_up_any_call")
    assert post(client(boss), path).json()["placement"] == "cancelled"


def test_an_ended_call_is_not_changed(new_call: NewCall) -> None:
    call = new_call(user=agent())
    requesting.cancel(call)
    before = client(call.user).get(f"{CALLS}{call.pk}/").json()
    after = post(client(call.user), f"{CALLS}{call.pk}/hang-up/").json()

    assert after == {name: before[name] for name in after}
