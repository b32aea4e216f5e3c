"""The actions of the list of calls: hang up, call again, export as CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from django_poketalk.admin import call_list
from django_poketalk.calls.redialing import never_rang
from django_poketalk.models import BlacklistedNumber, CallRequest, Phone, Placement
from django_poketalk.shared import csv_export

from ..conftest import CALLEE, CALLER
from ..people import connected, contact, contains_number, page, someone, staff

CALLS = "/admin/poketalk/callrequest/"


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


def act(client: Client, action: str, *calls: CallRequest, **more: str) -> Any:
    order = {"action": action, "_selected_action": [call.pk for call in calls], **more}
    return client.post(CALLS, order, follow=True)


def change(call: CallRequest, **facts: Any) -> CallRequest:
    CallRequest.objects.filter(pk=call.pk).update(**facts)
    call.refresh_from_db()
    return call


def newest() -> CallRequest:
    return CallRequest.objects.latest()


# Hanging up


def test_hanging_up_reads_only_open_calls(
    boss: Client, new_call: Callable[..., CallRequest], django_assert_max_num_queries: Any
) -> None:
    over = [change(new_call(), status=8, ended_at=timezone.now()) for _ in range(20)]
    talking = connected(new_call())

    with django_assert_max_num_queries(22):
        html = page(act(boss, "hang_up", talking, *over))

    assert "1 call is being ended." in html


# Calling again


@pytest.fixture
def own(boss: Client) -> None:
    """The first phone of the calls is the user's own."""
    user = get_user_model().objects.get(username="boss")
    Phone.objects.create(user=user, number=CALLER)


@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        ("anna", "The phone of anna rings first. The call is recorded as yours."),
        ("boss", "A phone that is not yours rings first."),
    ],
)
def test_whose_phone_rings_is_said_before_it_rings(
    user: str, sentence: str, boss: Client, call: CallRequest
) -> None:
    users = get_user_model().objects
    change(call, placement="failed", user=users.get_or_create(username=user)[0])

    html = page(act(boss, "call_again", call))

    assert CallRequest.objects.count() == 1
    assert sentence in html
    assert "No phone rang." in html
    assert "may ring the same people" not in html

    requested = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w*)"', html))
    page(boss.post(CALLS, requested, follow=True))

    assert newest().user.username == "boss"


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("placement", ["rejected", "cancelled", "expired", "failed"])
def test_a_call_that_never_rang_is_called_again_at_once(
    placement: str, boss: Client, new_call: Callable[..., CallRequest], woken: list[Any]
) -> None:
    bob = contact()
    call = change(new_call(subject=bob, max_duration=90), placement=placement)
    woken.clear()

    html = page(act(boss, "call_again", call))

    made = newest()
    assert made.pk != call.pk
    assert (made.from_number, made.to_number) == (CALLER, CALLEE)
    assert (made.subject, made.max_duration, made.user.username) == (bob, 90, "boss")
    assert ": calling again." in html
    assert f"/admin/poketalk/callrequest/{made.pk}/change/" in html
    data = dict(LogEntry.objects.values_list("object_id", "change_message"))
    assert data == {
        str(call.pk): f"Called again: call {made.pk}.",
        str(made.pk): f"Called again, after call {call.pk}.",
    }


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"placement": "unknown"}, "the phones may ring at any time"),
        ({"placement": "unknown", "stale_at": timezone.now()}, "gave no clear answer"),
        ({"placement": "queued"}, "the phones may ring at any time"),
        ({"placement": "accepted", "status": 3}, "It is in progress."),
        ({"placement": "accepted", "status": 2, "ended_at": timezone.now()}, "A phone has rung."),
        ({"placement": "failed", "status": 1}, "A phone has rung."),
        (
            {"status": 8, "b_answered_at": timezone.now(), "ended_at": timezone.now(),
             "placement": "accepted", "duration": 75},
            "The caller and the callee talked for 1 min 15 s.",
        ),
    ],
)  # fmt: skip
def test_calling_again_needs_confirmation_if_a_phone_may_have_rung(
    facts: dict[str, Any], why: str, boss: Client, call: CallRequest
) -> None:
    change(call, **facts)

    html = page(act(boss, "call_again", call))

    assert CallRequest.objects.count() == 1
    assert "may ring the same people a second time" in html
    assert why in html

    requested = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w*)"', html))
    page(boss.post(CALLS, requested, follow=True))

    assert CallRequest.objects.count() == 2


@pytest.mark.usefixtures("own")
def test_only_calls_that_may_have_rung_need_confirmation(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    certain = change(new_call(), placement="failed")
    doubtful = change(new_call(to_number="+442079460124"), placement="unknown")

    html = page(act(boss, "call_again", certain, doubtful))

    assert newest().to_number == CALLEE
    assert CallRequest.objects.count() == 3
    assert f'value="{doubtful.pk}"' in html
    assert f'value="{certain.pk}"' not in html


@pytest.mark.usefixtures("own")
def test_two_presses_place_one_call(boss: Client, call: CallRequest) -> None:
    change(call, placement="failed")

    act(boss, "call_again", call)
    html = page(act(boss, "call_again", call))

    assert CallRequest.objects.count() == 2
    assert "already being called again." in html


@pytest.mark.usefixtures("own")
def test_a_call_can_be_called_again_once_the_new_call_has_ended(
    boss: Client, call: CallRequest
) -> None:
    change(call, placement="failed")
    for count in (2, 3, 4):
        page(act(boss, "call_again", call))
        assert CallRequest.objects.count() == count
        change(newest(), placement="expired")


@pytest.mark.usefixtures("own")
def test_each_refusal_has_a_message(boss: Client, new_call: Callable[..., CallRequest]) -> None:
    listed = change(new_call(to_number="+442079460777"), placement="failed")
    fine = change(new_call(), placement="failed")
    forgotten = change(new_call(), placement="failed", from_number="", to_number="")
    BlacklistedNumber.objects.create(number="+442079460777", reason="Asked us to stop.")

    html = page(act(boss, "call_again", listed, fine, forgotten))

    assert "is on the blacklist: Asked us to stop." in html
    assert "The numbers of this call were deleted." in html
    assert newest().to_number == CALLEE
    assert CallRequest.objects.count() == 4


def test_calling_again_requires_the_permission_to_see_the_numbers(
    new_call: Callable[..., CallRequest],
) -> None:
    clerk = staff("clerk", "view_callrequest", "place_call", "choose_caller_phone")
    call = change(new_call(to_number="+442079460777"), placement="failed")

    html = page(act(clerk, "call_again", call))

    assert "You are not allowed to see the numbers of this call." in html
    assert not contains_number(html)
    assert CallRequest.objects.get() == call


def test_the_confirmation_page_does_not_reveal_numbers(call: CallRequest) -> None:
    clerk = staff("clerk", "view_callrequest", "place_call", "choose_caller_phone")

    html = page(act(clerk, "call_again", call))

    assert "+44 ••••••••23" in html
    assert not contains_number(html)


def test_calling_again_from_another_phone_requires_the_permission(call: CallRequest) -> None:
    clerk = staff("clerk", "view_callrequest", "place_call", "view_numbers")
    change(call, placement="failed")

    html = page(act(clerk, "call_again", call))
    assert "You are not allowed to choose which phone rings first." in html
    assert CallRequest.objects.count() == 1

    own = someone("dora")
    Phone.objects.create(user=type(own).objects.get(username="clerk"), number=call.from_number)
    page(act(clerk, "call_again", call))
    assert CallRequest.objects.count() == 2


def test_calling_again_requires_the_permission_to_place_calls(call: CallRequest) -> None:
    watcher = staff("watcher", "view_callrequest")
    change(call, placement="failed")

    assert "call_again" not in page(watcher.get(CALLS))
    act(watcher, "call_again", call)

    assert CallRequest.objects.count() == 1


def test_the_number_of_calls_in_one_action_is_limited(
    boss: Client, new_call: Callable[..., CallRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_list, "MAX_CALLS", 2)
    calls = [change(new_call(), placement="failed") for _ in range(3)]

    html = page(act(boss, "call_again", *calls))

    assert "Select no more than 2 calls at a time." in html
    assert CallRequest.objects.count() == 3


# CSV


def lines(response: Any) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode().removeprefix("\ufeff")
    return list(csv.DictReader(text.splitlines()))


def test_selected_calls_are_exported(
    boss: Client, user: Any, new_call: Callable[..., CallRequest]
) -> None:
    answered = timezone.now() - timedelta(seconds=15)
    ended = {"status": 8, "ended_at": timezone.now(), "a_answered_at": answered}
    call = connected(new_call(user=user, subject=contact("Bob")), **ended)
    new_call()

    (line,) = lines(act(boss, "export_csv", call))

    assert line["Call id"] == call.webcallid
    assert line["From"] == "+442079460000"
    assert line["To"] == "+442079460123"
    assert (line["User"], line["About"], line["State"]) == ("anna", "Bob", "ended after talking")
    assert (line["Talk time"], line["Billed time"], line["Cost"]) == ("60", "75", "0.420500")
    assert LogEntry.objects.get().change_message == "Exported calls as CSV: 1."


def test_all_calls_of_the_list_are_exported_in_batches(
    boss: Client, new_call: Callable[..., CallRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_export, "BATCH", 2)
    wanted = [change(new_call(), placement="rejected") for _ in range(5)]
    kept = new_call()

    order = {"action": "export_csv", "_selected_action": [wanted[0].pk], "select_across": "1"}
    response = boss.post(f"{CALLS}?outcome=refused", {**order, "index": "0"})

    ids = [line["Call id"] for line in lines(response)]
    assert ids == [call.webcallid for call in reversed(wanted)]
    assert kept.webcallid not in ids
    assert LogEntry.objects.get().change_message == "Exported calls as CSV: all in the list."


def test_an_export_masks_numbers_and_contains_no_formulas(
    user: Any, new_call: Callable[..., CallRequest]
) -> None:
    watcher = staff("watcher", "view_callrequest")
    type(user).objects.filter(pk=user.pk).update(username="@SUM(1)")
    call = new_call(user=user, subject=contact("=HYPERLINK(1)"))
    change(call, placement="rejected", response_detail="\t=1+1 for 442079460123")

    (line,) = lines(act(watcher, "export_csv", call))

    assert line["To"] == "+44 ••••••••23"
    assert not contains_number("".join(line.values()))
    assert line["About"] == "'=HYPERLINK(1)"
    assert line["User"] == "'@SUM(1)"
    assert line["Why"].startswith("'")


def test_an_export_requires_the_permission_to_see_calls(call: CallRequest) -> None:
    clerk = staff("clerk", "place_call")

    assert act(clerk, "export_csv", call).status_code == 403


def test_only_unsent_and_refused_calls_certainly_never_rang(
    call: CallRequest,
) -> None:
    for placement in Placement:
        call.placement, call.status = placement, None
        unsent = ("rejected", "cancelled", "expired", "failed", "forbidden")
        assert never_rang(call) == (placement in unsent)
        call.status = 1
        assert not never_rang(call)
