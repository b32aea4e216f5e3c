"""Wrap-ups, metadata and call backs in the API, each with its permissions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk import signals
from django_poketalk.models import CallBack, CallRequest, WrapUp

from ..conftest import CALLEE
from ..people import agent, connected, contact, contains_number, someone
from .rest_client import CALLS, ROOT, client, post, problem, wrong

pytestmark = pytest.mark.django_db
NewCall = Callable[..., CallRequest]
BACKS = f"{ROOT}/call-backs/"
TOMORROW = (timezone.now() + timedelta(days=1)).replace(microsecond=0)
MOMENT = f"{TOMORROW:%Y-%m-%dT%H:%M:%S}Z"


@pytest.fixture(autouse=True)
def _dispositions(poketalk: Callable[..., None]) -> None:
    poketalk(DISPOSITIONS={"sold": "Sold", "refused": "Refused"})


def ended(call: CallRequest) -> CallRequest:
    return connected(call, status=8, ended_at=timezone.now())


def put(asking: Any, call: CallRequest, **body: Any) -> Any:
    return asking.put(f"{CALLS}{call.pk}/wrap-up/", body, "application/json")


# Wrap-ups


def test_a_wrap_up_is_written_read_and_announced_once(
    new_call: NewCall, django_capture_on_commit_callbacks: Any
) -> None:
    anna = agent()
    call, asking = ended(new_call(user=anna)), client(anna)
    received: list[Any] = []

    def keep(**facts: Any) -> None:
        received.append(facts["wrap_up"].disposition)

    signals.wrapped_up.connect(keep)
    assert asking.get(f"{CALLS}{call.pk}/").json()["wrap_up"] is None

    with django_capture_on_commit_callbacks(execute=True):
        data = put(asking, call, disposition="sold", note="Wants 3.", follow_up_at=MOMENT).json()
    signals.wrapped_up.disconnect(keep)

    assert received == ["sold"]
    written = data["wrap_up"]
    assert written.pop("updated_at")
    assert written == {
        "disposition": "sold",
        "label": "Sold",
        "note": "Wants 3.",
        "follow_up_at": MOMENT,
        "user": anna.pk,
    }
    assert CallBack.objects.get().due_at == TOMORROW
    changed = put(asking, call, follow_up_at=None).json()["wrap_up"]  # the rest stays
    assert (changed["disposition"], changed["follow_up_at"]) == ("sold", None)
    assert asking.get(f"{CALLS}{call.pk}/").json()["wrap_up"] == changed
    assert asking.get(CALLS).json()["results"][0]["wrap_up"] == changed


def test_an_invalid_wrap_up_changes_nothing(new_call: NewCall) -> None:
    anna = agent()
    call, asking = ended(new_call(user=anna)), client(anna)

    problem(put(asking, call, disposition="gone"), 422, "disposition_unknown")
    problem(put(asking, call, note="x" * 2001), 422, "note_too_long")
    assert wrong(put(asking, call, disposition=7, follow_up_at="soon")) == {
        "#/disposition": "invalid",
        "#/follow_up_at": "invalid",
    }
    problem(put(asking, call, outcome="sold"), 400, "invalid")
    assert not WrapUp.objects.exists()


def test_others_write_with_a_permission_and_read_masked_numbers(new_call: NewCall) -> None:
    call = ended(new_call(user=agent(), metadata={"deal": 7, "who": "020 7946 0999"}))
    WrapUp.objects.create(call=call, disposition="sold", note=f"Or {CALLEE}.")
    watcher = client(someone("clerk", "view_callrequest"))

    problem(put(watcher, call, note="x"), 403, "permission_denied")
    problem(put(client(agent("bea")), call, note="x"), 404, "not_found")
    for data in (watcher.get(f"{CALLS}{call.pk}/").json(), watcher.get(CALLS).json()["results"][0]):
        assert data["wrap_up"]["note"].startswith("Or ")
        assert data["metadata"]["deal"] == 7
        assert not contains_number(str(data))
    lead = client(someone("lead", "view_callrequest", "change_wrapup"))
    assert put(lead, call, disposition="refused").json()["wrap_up"]["label"] == "Refused"


def test_calls_are_found_by_their_result(new_call: NewCall) -> None:
    sold, other = ended(new_call(user=agent())), ended(new_call())
    WrapUp.objects.create(call=sold, disposition="sold")
    WrapUp.objects.create(call=other, disposition="refused")
    boss = client(someone("boss", "view_callrequest"))

    found = boss.get(f"{CALLS}?disposition=sold").json()["results"]

    assert [call["id"] for call in found] == [sold.pk]
    problem(boss.get(f"{CALLS}?disposition={'x' * 41}"), 400, "invalid")


def test_metadata_is_part_of_orders_quotes_and_calls(poketalk: Callable[..., None]) -> None:
    asking = client(agent())
    order = {"to_number": CALLEE, "metadata": {"deal": 7}}

    assert post(asking, f"{CALLS}quote/", order).json()["metadata"] == {"deal": 7}
    made = post(asking, CALLS, order, "k1").json()
    assert made["metadata"] == {"deal": 7} == CallRequest.objects.get().metadata
    problem(post(asking, CALLS, {**order, "metadata": {}}, "k1"), 422, "idempotency_conflict")
    big = {**order, "metadata": {"deal": "x" * 2000}}
    assert problem(post(asking, CALLS, big), 422, "metadata_invalid")["field"] == "metadata"
    assert wrong(post(asking, CALLS, {**order, "metadata": [7]})) == {"#/metadata": "not_a_dict"}


# Call backs


def test_a_call_back_is_set_moved_done_and_canceled() -> None:
    bob, asking = contact(), client(agent())
    order = {
        "to_number": "+44 20 7946 0123 ext. 12",
        "due_at": MOMENT,
        "note": "Ask about 3",
        "subject": {"type": "crm.contact", "id": str(bob.pk)},
        "metadata": {"deal": 7},
    }

    response = post(asking, BACKS, order)

    assert response.status_code == 201, response.content
    url, made = response["Location"], response.json()
    assert made["subject"] == {**order["subject"], "text": "Bob"}  # type: ignore[dict-item]
    assert (made["to_number"], made["to_extension"]) == (CALLEE, "12")
    assert (made["metadata"], made["note"], made["due_at"]) == ({"deal": 7}, "Ask about 3", MOMENT)
    assert made["is_due"] is False
    assert asking.get(url).json() == made
    assert asking.get(f"{BACKS}?due=true").json()["results"] == []

    now = f"{timezone.now() - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}Z"
    data = asking.patch(url, {"due_at": now, "note": "Now"}, "application/json").json()
    assert (data["is_due"], data["note"]) == (True, "Now")
    assert [each["id"] for each in asking.get(f"{BACKS}?due=true").json()["results"]] == [
        made["id"]
    ]
    done = asking.patch(url, {"done": True}, "application/json").json()
    assert done["done_at"]
    assert asking.get(f"{BACKS}?done=false").json()["results"] == []
    assert asking.patch(url, {"done": False}, "application/json").json()["done_at"] is None

    assert asking.delete(url).status_code == 204
    assert not CallBack.objects.exists()


def test_call_backs_of_others_do_not_exist() -> None:
    back = CallBack.objects.create(user=agent(), to_number=CALLEE, due_at=TOMORROW)
    bea = client(agent("bea"))

    assert bea.get(BACKS).json()["results"] == []
    for ask in (bea.get, bea.delete):
        problem(ask(f"{BACKS}{back.pk}/"), 404, "not_found")
    problem(client(someone("clerk")).get(BACKS), 403, "permission_denied")
    assert CallBack.objects.exists()


def test_an_invalid_call_back_is_refused() -> None:
    asking = client(agent())
    order = {"to_number": CALLEE, "due_at": MOMENT}

    refused = problem(
        post(asking, BACKS, {**order, "to_number": "12 apples"}), 422, "number_invalid"
    )
    assert refused["field"] == "to_number"
    far = {**order, "due_at": "2099-01-01T00:00Z"}
    problem(post(asking, BACKS, far), 422, "time_invalid")
    problem(post(asking, BACKS, {**order, "when": MOMENT}), 400, "invalid")
    assert wrong(post(asking, BACKS, {})) == {
        "#/to_number": "required",
        "#/due_at": "required",
    }
    unknown = {**order, "subject": {"type": "crm.contact", "id": "77"}}
    assert post(asking, BACKS, unknown).status_code == 422
    assert not CallBack.objects.exists()


def test_a_page_of_call_backs_is_one_query_and_one_for_their_subjects(
    django_assert_num_queries: Any,
) -> None:
    anna = agent()
    for name in "abcdefghij":
        back = CallBack(user=anna, to_number=CALLEE, due_at=TOMORROW)
        back.subject = contact(name)
        back.save()
    asking = client(anna)
    asking.get(BACKS)

    with django_assert_num_queries(6):  # session, user, 2 × permissions; call backs, subjects
        assert len(asking.get(BACKS).json()["results"]) == 10
