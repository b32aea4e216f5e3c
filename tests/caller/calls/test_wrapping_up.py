"""Wraps up calls: result, note and follow-up, when a result is required, and whom it reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk import signals
from django_poketalk.calls import (
    call_backs,
    personal_data,
    redialing,
    required_results,
    retention,
    wrapping_up,
)
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallBack, CallMetadata, CallRequest, Placement, WrapUp
from tests.caller.conftest import CALLEE
from tests.caller.people import agent

LATER = timezone.now() + timedelta(days=1)


@pytest.fixture(autouse=True)
def _dispositions(poketalk: Callable[..., None]) -> None:
    poketalk(DISPOSITIONS={"sold": "Sold", "refused": "Refused"})


@pytest.fixture
def saved() -> Iterator[list[dict[str, Any]]]:
    """What receivers of `wrapped_up` get."""
    received: list[dict[str, Any]] = []

    def keep(**facts: Any) -> None:
        received.append(facts)

    signals.wrapped_up.connect(keep)
    yield received
    signals.wrapped_up.disconnect(keep)


def talked(call: CallRequest, ended_at: datetime | None = None) -> CallRequest:
    """The call, after both have talked."""
    ended_at = ended_at or timezone.now()
    CallRequest.objects.filter(pk=call.pk).update(
        placement=Placement.ACCEPTED, status=8, ended_at=ended_at, sent_at=ended_at
    )
    return CallRequest.objects.get(pk=call.pk)


def test_only_what_is_named_changes_and_a_signal_follows(
    call: CallRequest, user: Any, saved: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        wrapping_up.wrap_up(call, user, disposition="sold", note=" Wants 3. ")
        wrapping_up.wrap_up(call, user, follow_up_at=LATER)

    row = WrapUp.objects.get()
    assert (row.disposition, row.label, row.note, row.user) == ("sold", "Sold", "Wants 3.", user)
    assert [facts["wrap_up"].pk for facts in saved] == [call.pk, call.pk]
    back = CallRequest.objects.get().follow_up
    assert (back.user, back.to_number, back.note) == (user, CALLEE, "Wants 3.")
    assert back.due_at == LATER

    wrapping_up.wrap_up(call, user, follow_up_at=None)
    assert not CallBack.objects.exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"disposition": "unknown"}, "disposition_unknown"),
        ({"note": "x" * 2001}, "note_too_long"),
        ({"follow_up_at": LATER + timedelta(days=400)}, "time_invalid"),
    ],
)
def test_what_is_invalid_changes_nothing(
    call: CallRequest, user: Any, changes: Any, code: str
) -> None:
    with pytest.raises(CallRefused) as refused:
        wrapping_up.wrap_up(call, user, **changes)

    assert refused.value.code == code
    assert not WrapUp.objects.exists()
    assert not CallBack.objects.exists()


def test_a_result_that_the_setting_lost_may_stay(
    call: CallRequest, user: Any, poketalk: Callable[..., None]
) -> None:
    wrapping_up.wrap_up(call, user, disposition="sold")
    poketalk(DISPOSITIONS={"refused": "Refused"})

    row = wrapping_up.wrap_up(CallRequest.objects.get(), user, disposition="sold", note="!")

    assert (row.label, row.note) == ("sold", "!")


def test_a_result_is_required_of_the_latest_connected_call_alone(
    new_call: Callable[..., CallRequest], user: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(WRAP_UP_REQUIRED=True, LIVE_CALLS_PER_USER=None)
    first = talked(new_call(user=user))
    assert required_results.missing(user) == first

    second = new_call(user=user)
    CallRequest.objects.filter(pk=second.pk).update(placement=Placement.ACCEPTED, status=6)
    assert required_results.missing(user) is None  # it has not ended
    CallRequest.objects.filter(pk=second.pk).update(ended_at=timezone.now())
    assert required_results.missing(user) is None  # nobody answered

    third = talked(new_call(user=user))
    new_call(user=user, not_before=LATER)  # a scheduled call is none yet
    assert required_results.missing(user) == third
    wrapping_up.wrap_up(third, user, disposition="refused")
    assert required_results.missing(user) is None

    old = talked(new_call(user=user), timezone.now() - timedelta(hours=13))
    assert old.wrapped_up is None
    assert required_results.missing(user) is None
    poketalk(WRAP_UP_REQUIRED=False)
    talked(old)
    assert required_results.missing(user) is None


def test_calls_that_rang_nobody_do_not_hide_the_one_without_a_result(
    new_call: Callable[..., CallRequest], user: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(WRAP_UP_REQUIRED=True, LIVE_CALLS_PER_USER=None)
    scheduled = new_call(user=user, not_before=LATER)
    wrapped_up = talked(new_call(user=user))
    wrapping_up.wrap_up(wrapped_up, user, disposition="sold")

    assert scheduled.begin_sending(LATER)
    assert required_results.missing(user) is None  # it rings
    talked(scheduled)
    assert required_results.missing(user) == scheduled  # though it was requested first

    assert new_call(user=user, not_before=LATER).cancel(timezone.now(), user)
    assert required_results.missing(user) == scheduled


def test_metadata_travels_with_the_call_and_its_redial(
    new_call: Callable[..., CallRequest], poketalk: Callable[..., None]
) -> None:
    anna, given = agent(), {"deal": 7, "stage": ["won", None]}
    call = new_call(user=anna, metadata=given)
    assert call.metadata == given == CallRequest.objects.get().metadata
    assert new_call(user=None).metadata == {}
    assert CallMetadata.objects.count() == 1  # calls without any have no row

    CallRequest.objects.update(placement=Placement.FAILED)
    again = redialing.call_again(CallRequest.objects.get(pk=call.pk), anna)
    assert CallRequest.objects.get(pk=again.pk).metadata == given


@pytest.mark.parametrize(
    "given", [["deal"], {"deal": "x" * 1024}, {"deal": float("nan")}, {7: 1}, {"deal": "\0"}]
)
def test_metadata_that_is_no_small_object_is_refused(
    new_call: Callable[..., CallRequest], given: Any
) -> None:
    with pytest.raises(CallRefused) as refused:
        new_call(metadata=given)

    assert (refused.value.code, refused.value.field) == ("metadata_invalid", "metadata")
    assert not CallRequest.objects.exists()


def test_a_person_is_erased_from_notes_metadata_and_call_backs(
    new_call: Callable[..., CallRequest], user: Any
) -> None:
    call = talked(new_call(user=user, metadata={"other": "0044 20 7946 0999", "deal": 7}))
    wrapping_up.wrap_up(call, user, note="Her husband is ill.", follow_up_at=LATER)
    other = talked(new_call(user=user, to_number="+442079460124"))
    wrapping_up.wrap_up(other, user, note="Ask 020 7946 0123 too.")
    call_backs.remind(user, "+442079460124", LATER, note="Or 020 7946 0123.")

    exported = personal_data.export(CALLEE)
    personal_data.erase(CALLEE)

    first, second = (row["note"] for row in exported["poketalk.wrapup"]["rows"])
    assert first == "Her husband is ill."
    assert "0123" not in second
    assert len(exported["poketalk.callback"]["rows"]) == 2
    assert WrapUp.objects.get(pk=call.pk).note == ""
    assert "0123" not in WrapUp.objects.get(pk=other.pk).note
    assert CallBack.objects.get().note == "Or ••••••23."
    kept = CallRequest.objects.get(pk=call.pk).metadata
    assert kept["deal"] == 7
    assert "0999" not in kept["other"]


def test_notes_of_old_calls_are_masked(
    call: CallRequest, user: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(FORGET_NUMBERS_AFTER=30)
    talked(call)
    wrapping_up.wrap_up(call, user, note="Mobile 07700 900123", disposition="sold")
    CallRequest.objects.update(created_at=timezone.now() - timedelta(days=31))

    retention.forget_old_numbers()

    row = WrapUp.objects.get()
    assert "900123" not in row.note
    assert row.note.startswith("Mobile ")
    assert row.disposition == "sold"


def test_a_later_note_of_a_forgotten_call_is_masked_at_once(
    call: CallRequest, user: Any, poketalk: Callable[..., None]
) -> None:
    """No call is forgotten twice."""
    poketalk(FORGET_NUMBERS_AFTER=30)
    talked(call)
    CallRequest.objects.update(created_at=timezone.now() - timedelta(days=31))
    retention.forget_old_numbers()
    call.refresh_from_db()

    wrapping_up.wrap_up(call, user, note="Mobile 07700 900123")

    assert WrapUp.objects.get().note == "Mobile ••••••23"
