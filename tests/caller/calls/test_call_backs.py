"""Call backs: reminders are announced once, and scheduled ones obey the rules of their time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk import signals
from django_poketalk.calls import call_backs, placing
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallBack, CallRequest, Placement
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.people import agent

HOUR = timedelta(hours=1)


@pytest.fixture
def announced() -> Iterator[list[int]]:
    """The call backs that receivers of `callback_due` get."""
    received: list[int] = []

    def keep(call_back: CallBack, **facts: Any) -> None:
        received.append(call_back.pk)

    signals.callback_due.connect(keep)
    yield received
    signals.callback_due.disconnect(keep)


@pytest.fixture
def failed(new_call: Callable[..., CallRequest]) -> CallRequest:
    """A call of an agent whose callee was busy."""
    call = new_call(user=agent(), metadata={"deal": 7})
    facts = {"placement": Placement.ACCEPTED, "status": 6, "hangup_cause": "busy"}
    CallRequest.objects.filter(pk=call.pk).update(ended_at=timezone.now(), **facts)
    return CallRequest.objects.get(pk=call.pk)


def test_a_call_back_is_announced_once_for_each_time(
    user: Any, announced: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    now = timezone.now()
    due = call_backs.remind(user, CALLEE, now - HOUR)
    call_backs.remind(user, CALLEE, now + HOUR)
    other = CallBack.objects.get(pk=due.pk)  # as another process has read it

    with django_capture_on_commit_callbacks(execute=True):
        assert placing.sweep().reminded == 1
        assert placing.sweep().reminded == 0
        assert not other.remind(now)
    assert announced == [due.pk]

    assert CallBack.objects.get(pk=due.pk).move(now - HOUR / 2)
    with django_capture_on_commit_callbacks(execute=True):
        placing.sweep()
    assert announced == [due.pk, due.pk]


def test_what_is_done_is_neither_announced_nor_done_again(
    user: Any, announced: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    due = call_backs.remind(user, CALLEE, timezone.now() - HOUR)

    assert due.finish(timezone.now())
    assert not due.finish(timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        assert placing.sweep().reminded == 0
    assert not announced


def test_there_is_one_call_back_after_a_call(failed: CallRequest) -> None:
    anna, now = failed.user, timezone.now()
    first = call_backs.follow_up(failed, now + HOUR, anna)
    first.finish(now)

    second = call_backs.follow_up(CallRequest.objects.get(), now + 2 * HOUR, anna)

    assert second.pk == first.pk
    stored = CallBack.objects.get()
    assert (stored.due_at, stored.done_at) == (now + 2 * HOUR, None)
    assert stored.metadata == {"deal": 7}
    assert call_backs.drop(failed)
    assert failed.follow_up is None


def test_trying_again_schedules_one_call_with_everything_of_the_first(
    failed: CallRequest, poketalk: Callable[..., None]
) -> None:
    anna = failed.user
    poketalk(RETRY_AFTER=900)
    assert call_backs.may_try_again(failed, anna)

    made = call_backs.try_again(failed, anna)
    again = call_backs.try_again(failed, anna)

    assert made.pk == again.pk
    assert made.is_scheduled
    assert abs(made.rings_at - timezone.now() - HOUR / 4) < HOUR / 60
    assert (made.from_number, made.to_number) == (CALLER, CALLEE)
    assert CallRequest.objects.get(pk=made.pk).metadata == {"deal": 7}
    assert [*call_backs.scheduled(anna)] == [made]


@pytest.mark.parametrize(
    "changes", [{"status": 8}, {"hangup_cause": "unallocated_number"}, {"ended_at": None}]
)
def test_trying_again_is_only_offered_where_it_may_help(failed: CallRequest, changes: Any) -> None:
    CallRequest.objects.update(**changes)

    assert not call_backs.may_try_again(CallRequest.objects.get(), failed.user)


def test_trying_again_respects_quiet_hours_of_that_time(
    failed: CallRequest, poketalk: Callable[..., None]
) -> None:
    soon = timezone.now() + timedelta(minutes=10)
    poketalk(QUIET_HOURS=(f"{soon:%H:%M}", f"{soon + 2 * HOUR:%H:%M}"), DEFAULT_REGION="GB")

    with pytest.raises(CallRefused) as refused:
        call_backs.try_again(failed, failed.user)

    assert refused.value.code == "quiet_hours"
    assert CallRequest.objects.count() == 1


def test_a_scheduled_call_moves_until_it_is_sent(failed: CallRequest) -> None:
    anna, now = failed.user, timezone.now()
    made = call_backs.ring(failed, now + HOUR, anna)
    stale = CallRequest.objects.get(pk=made.pk)

    assert call_backs.reschedule(made, now + 2 * HOUR)
    assert not call_backs.reschedule(stale, now + 3 * HOUR)  # it was moved meanwhile
    stored = CallRequest.objects.get(pk=made.pk)
    assert (stored.not_before, stored.rings_at) == (now + 2 * HOUR, now + 2 * HOUR)
    assert stored.expires_at > now + 2 * HOUR

    assert call_backs.ring(failed, now + HOUR, anna).pk == made.pk
    CallRequest.objects.filter(pk=made.pk).update(placement=Placement.SENDING, attempts=1)
    assert not call_backs.reschedule(CallRequest.objects.get(pk=made.pk), now + HOUR)


def test_a_scheduled_call_does_not_move_into_a_full_hour(
    new_call: Callable[..., CallRequest], poketalk: Callable[..., None]
) -> None:
    poketalk(CALLS_PER_HOUR_PER_CALLEE=1, LIVE_CALLS_PER_USER=1)
    anna, now = agent(), timezone.now()
    new_call(user=anna, not_before=now + HOUR)
    other = new_call(user=anna, not_before=now + 5 * HOUR)

    with pytest.raises(CallRefused) as refused:
        call_backs.reschedule(other, now + HOUR)

    assert refused.value.code == "calls_per_hour_per_callee"
    assert CallRequest.objects.get(pk=other.pk).rings_at == now + 5 * HOUR == other.rings_at
    CallRequest.objects.exclude(pk=other.pk).update(placement=Placement.ACCEPTED)
    assert call_backs.reschedule(other, now + 3 * HOUR)  # how many are open then is not known


def test_the_same_reminder_is_set_once(user: Any) -> None:
    due_at = timezone.now() + HOUR
    first = call_backs.remind(user, CALLEE, due_at)

    assert call_backs.remind(user, CALLEE, due_at, note="Ask about 3") == first
    assert call_backs.remind(user, CALLEE, due_at) == first
    assert CallBack.objects.get().note == "Ask about 3"

    call_backs.remind(user, CALLEE, due_at, subject=user)  # about somebody else
    call_backs.remind(agent("ben"), CALLEE, due_at)
    assert first.finish(due_at)
    call_backs.remind(user, CALLEE, due_at)
    assert CallBack.objects.count() == 4
