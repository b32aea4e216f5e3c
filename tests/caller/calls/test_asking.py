"""Hanging up asks the service, if the backend can, and the 412 remains the way if that fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk import tasks
from django_poketalk.backends import ServiceCall, locmem
from django_poketalk.calls import asking, placing, requesting, task_publisher
from django_poketalk.exceptions import NoClearAnswer
from django_poketalk.models import CallRequest, Placement
from django_poketalk.presentation import call_status
from django_poketalk.protocol.codes import CallStatus
from tests.caller.people import agent, connected

NewCall = Callable[..., CallRequest]


class Asked:
    """What the service was asked to hang up, and what was published for the worker."""

    def __init__(self) -> None:
        self.is_known = True
        self.error: Exception | None = None
        self.calls: list[str] = []
        self.published: list[tuple[int, float]] = []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()

    def hang_up(self: Any, webcallid: str, reference: str = "") -> bool:
        asked.calls.append(webcallid)
        if asked.error:
            raise asked.error
        return asked.is_known

    monkeypatch.setattr(locmem.LocmemBackend, "can_ask", True)
    monkeypatch.setattr(locmem.LocmemBackend, "hang_up", hang_up)
    monkeypatch.setattr(
        task_publisher, "hang_up", lambda pk, delay=0: asked.published.append((pk, delay))
    )
    return asked


def test_a_hang_up_is_given_to_a_worker_which_asks_the_service(
    asked: Asked, new_call: NewCall, django_capture_on_commit_callbacks: Any
) -> None:
    call = connected(new_call())

    with django_capture_on_commit_callbacks(execute=True):
        assert requesting.hang_up(call)
    assert (asked.published, asked.calls) == ([(call.pk, 0)], [])

    tasks.hang_up_call(call.pk)
    assert asked.calls == [call.webcallid]


def test_a_second_hang_up_asks_nobody(
    asked: Asked, new_call: NewCall, django_capture_on_commit_callbacks: Any
) -> None:
    call = connected(new_call())
    requesting.hang_up(call)

    with django_capture_on_commit_callbacks(execute=True):
        assert not requesting.hang_up(call)

    assert asked.published == []


def test_a_queued_call_is_canceled_without_asking(
    asked: Asked, call: CallRequest, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert requesting.hang_up(call)

    assert (asked.published, call.placement) == ([], Placement.CANCELLED)


def test_a_backend_that_cannot_ask_is_not_asked(
    asked: Asked,
    new_call: NewCall,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    monkeypatch.setattr(locmem.LocmemBackend, "can_ask", False)

    with django_capture_on_commit_callbacks(execute=True):
        assert requesting.hang_up(connected(new_call()))

    assert asked.published == []


@pytest.mark.parametrize("changes", [{}, {"hangup_requested_at": "now", "ended_at": "now"}])
def test_nobody_is_asked_to_end_a_call_that_ended_or_should_go_on(
    changes: dict[str, str], asked: Asked, new_call: NewCall
) -> None:
    call = connected(new_call())
    CallRequest.objects.update(**dict.fromkeys(changes, call.created_at))

    asking.hang_up(call.pk)

    assert asked.calls == []


def test_a_service_that_fails_leaves_the_call_to_its_next_event(
    asked: Asked, new_call: NewCall, caplog: pytest.LogCaptureFixture
) -> None:
    call = connected(new_call())
    requesting.hang_up(call)
    asked.error = NoClearAnswer("HTTP 503")

    asking.hang_up(call.pk)

    call.refresh_from_db()
    assert call.hangup_requested_at is not None
    assert "HTTP 503" in caplog.text


@pytest.mark.parametrize(("placement", "times"), [(Placement.SENDING, 1), (Placement.ACCEPTED, 0)])
def test_a_call_on_its_way_to_the_service_is_asked_about_again(
    placement: Placement, times: int, asked: Asked, new_call: NewCall
) -> None:
    call = connected(new_call(), placement=placement)
    requesting.hang_up(call)
    asked.is_known = False

    asking.hang_up(call.pk)

    assert asked.published == [(call.pk, asking.AGAIN)] * times


# Looking up


Served = Callable[..., None]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """Set what the service knows about each call: the fields of `ServiceCall`, or an error."""
    monkeypatch.setattr(locmem.LocmemBackend, "can_ask", True)

    def know(*answer: Any) -> None:
        def look_up(self: Any, webcallid: str, reference: str = "") -> ServiceCall | None:
            if answer and isinstance(answer[0], Exception):
                raise answer[0]
            return ServiceCall(*answer) if answer else None

        monkeypatch.setattr(locmem.LocmemBackend, "look_up", look_up)

    return know


def failed(call: CallRequest, status: int = 6) -> CallRequest:
    now = timezone.now()
    return connected(call, status=status, ended_at=now, rings_at=now)


@pytest.mark.parametrize(
    ("status", "cause", "sentence"),
    [
        (2, "busy", "Your phone is busy."),
        (2, "unallocated_number", "Your phone’s number does not exist."),
        (6, "no_answer", "+44 20 7946 0123 did not answer."),
        (6, "declined", "+44 20 7946 0123 declined the call."),
        (6, "gateway_down", "The service’s gateway is down. Try again later."),
        (6, "no_funds", "The credit at the service is used up."),
        (6, "rejected", "+44 20 7946 0123 could not be reached."),
    ],
)
def test_a_sweep_asks_why_a_call_failed(
    status: int, cause: str, sentence: str, served: Served, new_call: NewCall
) -> None:
    call = failed(new_call(), status)
    served(True, CallStatus(status), 0, Decimal(0), cause)

    placing.sweep()

    call.refresh_from_db()
    assert (call.hangup_cause, call_status.sentence(call)) == (cause, sentence)


def test_the_status_asks_once_why_a_call_failed_just_now(
    served: Served, new_call: NewCall, client: Client
) -> None:
    anna = agent()
    call = failed(new_call(user=anna))
    served(True, CallStatus.B_FAILED, 0, Decimal(0), "busy")
    client.force_login(anna)

    data = client.get(f"/poketalk/{call.pk}/status/").json()
    served(NoClearAnswer("not asked again"))
    again = client.get(f"/poketalk/{call.pk}/status/").json()

    assert data["sentence"] == again["sentence"] == "+44 20 7946 0123 is busy."


def test_waiting_calls_do_not_wait_for_the_service(
    served: Served, new_call: NewCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    failed(new_call())
    now = timezone.now()
    CallRequest.objects.filter(pk=new_call().pk).update(
        placement=Placement.QUEUED,
        not_before=now - timedelta(minutes=1),
        expires_at=now + timedelta(minutes=1),
    )
    monkeypatch.setattr(task_publisher, "wake", lambda pk: steps.append("woken"))
    monkeypatch.setattr(locmem.LocmemBackend, "can_ask", True)
    monkeypatch.setattr(locmem.LocmemBackend, "look_up", lambda *args: steps.append("asked"))

    placing.sweep()

    assert steps == ["woken", "asked"]


def test_a_service_that_fails_explains_nothing(served: Served, new_call: NewCall) -> None:
    call = failed(new_call())
    served(NoClearAnswer("HTTP 503"))

    placing.sweep()

    call.refresh_from_db()
    assert call.hangup_cause == ""


@pytest.fixture
def silent(new_call: NewCall) -> CallRequest:
    """A call without events for an hour."""
    long_ago = timezone.now() - timedelta(hours=1)
    times = ("created_at", "sent_at", "placed_at", "last_event_at", "a_answered_at")
    return connected(new_call(), max_duration=7200, **dict.fromkeys(times, long_ago))


def test_a_call_that_goes_on_at_the_service_does_not_become_stale(
    served: Served, silent: CallRequest
) -> None:
    served(False, CallStatus.B_ANSWERED, 3500, Decimal("1.5"))

    assert placing.sweep().stale == 0

    silent.refresh_from_db()
    assert (silent.is_open, silent.duration) == (True, 3500)


def test_a_call_that_ended_at_the_service_ends_here(served: Served, silent: CallRequest) -> None:
    served(True, CallStatus.AB_DISCONNECTED, 90, Decimal("1.5"), "normal")

    assert placing.sweep().stale == 0

    silent.refresh_from_db()
    assert (silent.status, silent.duration, silent.stale_at) == (8, 90, None)


@pytest.mark.parametrize("answer", [(), (NoClearAnswer("HTTP 503"),)])
def test_a_call_that_the_service_says_nothing_about_becomes_stale(
    answer: tuple[Any, ...], served: Served, silent: CallRequest
) -> None:
    served(*answer)

    assert placing.sweep().stale == 1

    silent.refresh_from_db()
    assert silent.stale_at is not None


def test_a_sweep_asks_who_hung_up(served: Served, new_call: NewCall) -> None:
    call = connected(new_call(), status=8, ended_at=timezone.now())
    served(True, CallStatus.AB_DISCONNECTED, 75, Decimal(0), "callee_hung_up")

    placing.sweep()

    call.refresh_from_db()
    assert call.hangup_cause == "callee_hung_up"
