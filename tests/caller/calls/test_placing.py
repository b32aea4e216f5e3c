"""Placing: nobody is rung twice, and no call is lost without a trace."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_poketalk.backends import Answer, Order, Verdict, locmem
from django_poketalk.calls import placing, requesting
from django_poketalk.events.recording import record
from django_poketalk.exceptions import NotConnected
from django_poketalk.models import CallRequest, Placement
from django_poketalk.protocol.codes import CallStatus, ResponseCode
from django_poketalk.protocol.eventurl import Event
from django_poketalk.signals import placement_changed

NewCall = Callable[..., CallRequest]
Change = Callable[..., None]

OK = Answer(Verdict.ACCEPTED, ResponseCode.OK, "00")
HOUR = timedelta(hours=1)


def test_a_queued_call_is_sent_once_in_wire_form(call: CallRequest) -> None:
    placing.place(call.pk)
    placing.place(call.pk)

    (order,) = locmem.outbox
    assert (order.from_number, order.to_number) == ("442079460000", "442079460123")
    assert order.webcallid == call.webcallid
    assert order.event_url.startswith("https://crm.example.com/poketalk/events/")
    assert order.event_url.endswith(
        "?webcallid=$webcallid&status=$status&duration=$duration&debit=$debit"
    )


def test_without_an_event_base_url_events_are_disabled(call: CallRequest, poketalk: Change) -> None:
    poketalk(EVENT_BASE_URL="")

    placing.place(call.pk)

    assert locmem.outbox[0].event_url == ""


def test_a_trailing_slash_of_the_base_url_is_ignored(call: CallRequest, poketalk: Change) -> None:
    poketalk(EVENT_BASE_URL="https://crm.example.com")
    plain = placing.order_of(call)
    poketalk(EVENT_BASE_URL="https://crm.example.com/")

    assert placing.order_of(call) == plain


def test_an_event_url_has_at_most_255_characters(call: CallRequest, poketalk: Change) -> None:
    room = 255 - len(placing.order_of(call).event_url)
    poketalk(EVENT_BASE_URL=f"https://crm.example.com{'x' * room}")
    assert len(placing.order_of(call).event_url) == 255

    poketalk(EVENT_BASE_URL=f"https://crm.example.com{'x' * (room + 1)}")
    with pytest.raises(ImproperlyConfigured, match="256 characters"):
        placing.order_of(call)


def test_sending_is_committed_before_the_first_byte_is_sent(
    call: CallRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def look(backend: object, order: Order) -> Answer:
        seen.append(CallRequest.objects.get(pk=call.pk).placement)
        return OK

    monkeypatch.setattr(locmem.LocmemBackend, "place", look)
    placing.place(call.pk)

    assert seen == [Placement.SENDING]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_an_answer_is_stored_without_characters_that_databases_refuse(
    call: CallRequest, verdict: Verdict
) -> None:
    code = ResponseCode.OK if verdict is Verdict.ACCEPTED else None
    locmem.answers.append(Answer(verdict, code, "00 ok\x00\x1b[1m\ud800 so\n far"))

    placing.place(call.pk)

    placed = CallRequest.objects.get(pk=call.pk)
    assert (placed.placement, placed.response_detail) == (verdict.value, "00 ok [1m so far")


@pytest.mark.parametrize(
    ("answer", "placement", "code"),
    [
        (OK, Placement.ACCEPTED, "00"),
        (Answer(Verdict.REJECTED, ResponseCode.BLACKLISTED, "60"), Placement.REJECTED, "60"),
        (Answer(Verdict.REJECTED, None, "eventurl is too long"), Placement.REJECTED, ""),
        (Answer(Verdict.UNKNOWN, None, "HTTP 500"), Placement.UNKNOWN, ""),
        (ZeroDivisionError("a bug in a backend"), Placement.UNKNOWN, ""),
    ],
)
def test_the_answer_is_stored(
    call: CallRequest, answer: Answer | Exception, placement: Placement, code: str
) -> None:
    locmem.answers.append(answer)

    placing.place(call.pk)

    call.refresh_from_db()
    assert (call.placement, call.response_code) == (placement, code)
    assert call.response_detail
    assert call.attempts == 1


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.UNKNOWN])
def test_the_answer_is_not_logged_because_it_may_contain_a_number(
    call: CallRequest, verdict: Verdict, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    locmem.answers.append(Answer(verdict, None, "442079460123 is no number."))

    placing.place(call.pk)

    assert f"Call {call.pk} is {verdict.value}" in caplog.text
    assert "442079460123" not in caplog.text


def test_only_failures_to_connect_are_retried(
    call: CallRequest, woken: list[tuple[int, float]]
) -> None:
    locmem.answers.append(NotConnected("Connection refused"))

    placing.place(call.pk)

    call.refresh_from_db()
    assert call.placement == Placement.QUEUED
    assert call.response_detail == "Connection refused"
    assert woken[-1] == (call.pk, 1)

    CallRequest.objects.filter(pk=call.pk).update(not_before=timezone.now())
    placing.place(call.pk)

    call.refresh_from_db()
    assert (call.placement, call.attempts) == (Placement.ACCEPTED, 2)


def test_a_worker_with_an_outdated_row_claims_nothing(call: CallRequest) -> None:
    slow = CallRequest.objects.get(pk=call.pk)
    now = timezone.now()
    assert call.begin_sending(now)
    assert call.retry(now, "Connection refused")

    assert not slow.begin_sending(now)
    assert call.begin_sending(now)


def test_each_retry_waits_longer(call: CallRequest, woken: list[tuple[int, float]]) -> None:
    CallRequest.objects.filter(pk=call.pk).update(expires_at=timezone.now() + HOUR)
    for _ in range(7):
        locmem.answers.append(NotConnected("Connection refused"))
        placing.place(call.pk)
        CallRequest.objects.filter(pk=call.pk).update(not_before=timezone.now())

    assert [delay for _pk, delay in woken[-7:]] == [1, 2, 4, 8, 16, 16, 16]


def test_a_call_fails_if_the_service_is_unreachable_until_it_expires(call: CallRequest) -> None:
    CallRequest.objects.filter(pk=call.pk).update(
        expires_at=timezone.now() + timedelta(milliseconds=900)
    )
    locmem.answers.append(NotConnected("Connection refused"))

    placing.place(call.pk)

    call.refresh_from_db()
    assert call.placement == Placement.FAILED


def test_nobody_is_rung_before_not_before(new_call: NewCall) -> None:
    call = new_call(not_before=timezone.now() + HOUR)

    placing.place(call.pk)

    assert locmem.outbox == []
    assert CallRequest.objects.get(pk=call.pk).placement == Placement.QUEUED


def test_nobody_is_rung_after_the_expiry(call: CallRequest) -> None:
    CallRequest.objects.filter(pk=call.pk).update(expires_at=timezone.now())

    placing.place(call.pk)

    assert locmem.outbox == []
    assert CallRequest.objects.get(pk=call.pk).placement == Placement.EXPIRED


def test_a_canceled_call_is_not_sent(call: CallRequest) -> None:
    requesting.cancel(call)

    placing.place(call.pk)

    assert locmem.outbox == []


def test_a_call_stays_queued_if_the_settings_are_invalid(
    call: CallRequest, poketalk: Change
) -> None:
    poketalk(EVENT_BASE_URL=f"https://{'crm.' * 60}example.com")

    with pytest.raises(ImproperlyConfigured, match="255"):
        placing.place(call.pk)

    assert CallRequest.objects.get(pk=call.pk).placement == Placement.QUEUED


def test_placing_a_deleted_call_does_nothing(db: None) -> None:
    placing.place(1)

    assert locmem.outbox == []


class TestSweep:
    def test_a_waiting_call_is_woken_again(
        self, call: CallRequest, woken: list[tuple[int, float]]
    ) -> None:
        woken.clear()

        fresh = placing.sweep(timezone.now())
        later = placing.sweep(timezone.now() + timedelta(seconds=6))

        assert (fresh.woken, later.woken) == (0, 1)
        assert woken == [(call.pk, 0)]

    def test_a_scheduled_call_is_not_woken(self, new_call: NewCall) -> None:
        new_call(not_before=timezone.now() + HOUR)

        assert placing.sweep() == placing.SweepResult(0, 0, 0, 0)

    def test_a_call_past_its_expiry_expires(self, call: CallRequest) -> None:
        swept = placing.sweep(call.expires_at)

        assert swept.expired == 1
        assert CallRequest.objects.get(pk=call.pk).placement == Placement.EXPIRED

    def test_a_call_whose_worker_died_is_unknown_and_not_sent_again(
        self, call: CallRequest
    ) -> None:
        call.begin_sending(timezone.now())

        # So long may the request itself take, and a while more.
        early = placing.sweep(call.sent_at + timedelta(seconds=3.05 + 10 + 4))
        late = placing.sweep(timezone.now() + timedelta(seconds=60))
        placing.place(call.pk)

        assert (early.unknown, late.unknown) == (0, 1)
        assert CallRequest.objects.get(pk=call.pk).placement == Placement.UNKNOWN
        assert locmem.outbox == []

    def test_a_late_answer_still_resolves_an_unknown_call(self, call: CallRequest) -> None:
        call.begin_sending(timezone.now())
        placing.sweep(timezone.now() + timedelta(seconds=60))

        assert call.accept(timezone.now(), "00")

        assert CallRequest.objects.get(pk=call.pk).placement == Placement.ACCEPTED

    def test_an_event_resolves_an_unknown_call(self, call: CallRequest) -> None:
        call.begin_sending(timezone.now())
        call.lose("timed out")

        record(call.pk, Event(CallStatus.A_INITIATED), "", timezone.now())

        assert CallRequest.objects.get(pk=call.pk).placement == Placement.ACCEPTED

    def test_an_answer_after_the_first_event_is_stored(self, call: CallRequest) -> None:
        call.begin_sending(timezone.now())
        record(call.pk, Event(CallStatus.A_INITIATED), "", timezone.now())

        first = call.accept(timezone.now(), "00")
        second = call.accept(timezone.now(), "00")

        call.refresh_from_db()
        assert (first, second) == (True, False)
        assert (call.placement, call.response_code) == (Placement.ACCEPTED, "00")
        assert call.placed_at is not None

    def test_an_event_before_a_refusal_wins(self, call: CallRequest) -> None:
        call.begin_sending(timezone.now())
        record(call.pk, Event(CallStatus.A_INITIATED), "", timezone.now())

        assert not call.reject(timezone.now(), ResponseCode.NO_GATEWAY, "70")

        assert CallRequest.objects.get(pk=call.pk).placement == Placement.ACCEPTED

    def test_a_live_call_without_events_is_marked_as_stale(self, call: CallRequest) -> None:
        placing.place(call.pk)
        record(call.pk, Event(CallStatus.B_ANSWERED, duration=5), "", timezone.now())

        early = placing.sweep(timezone.now() + timedelta(seconds=170))
        late = placing.sweep(timezone.now() + timedelta(seconds=190))

        call.refresh_from_db()
        assert (early.stale, late.stale) == (0, 1)
        assert not call.is_open
        assert call.ended_at is None
        assert "timed out" in call.state

    def test_an_event_reopens_a_stale_call(self, call: CallRequest) -> None:
        placing.place(call.pk)
        placing.sweep(timezone.now() + HOUR)

        record(call.pk, Event(CallStatus.B_ANSWERED, duration=65), "", timezone.now())

        call.refresh_from_db()
        assert call.is_open
        assert call.stale_at is None

    def test_an_event_during_the_sweep_keeps_the_call_open(self, call: CallRequest) -> None:
        placing.place(call.pk)
        seen_by_the_sweep = CallRequest.objects.get(pk=call.pk)
        record(call.pk, Event(CallStatus.B_ANSWERED, duration=5), "", timezone.now())

        assert not seen_by_the_sweep.mark_stale(timezone.now())
        assert CallRequest.objects.get(pk=call.pk).is_open

    def test_an_ended_call_is_not_marked_as_stale(self, call: CallRequest) -> None:
        placing.place(call.pk)
        record(call.pk, Event(CallStatus.AB_DISCONNECTED), "", timezone.now())

        assert placing.sweep(timezone.now() + HOUR).stale == 0

    def test_without_events_a_call_is_stale_after_its_maximum_duration(
        self, call: CallRequest, poketalk: Change
    ) -> None:
        poketalk(EVENT_BASE_URL="", MAX_DURATION=600)
        placing.place(call.pk)

        early = placing.sweep(timezone.now() + timedelta(seconds=700))
        late = placing.sweep(timezone.now() + timedelta(seconds=800))

        assert (early.stale, late.stale) == (0, 1)


def test_placement_changed_is_sent_after_commit(
    call: CallRequest, django_capture_on_commit_callbacks: Any
) -> None:
    received: list[tuple[str, str]] = []

    def listen(placement: Placement, previous: Placement, **kwargs: Any) -> None:
        received.append((previous.value, placement.value))

    placement_changed.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            placing.place(call.pk)
            assert received == []
    finally:
        placement_changed.disconnect(listen)

    assert received == [("queued", "sending"), ("sending", "accepted")]


def test_a_failing_receiver_affects_neither_the_call_nor_other_receivers(
    call: CallRequest, django_capture_on_commit_callbacks: Any
) -> None:
    received: list[Placement] = []

    def fail(**kwargs: Any) -> None:
        raise LookupError

    def listen(placement: Placement, **kwargs: Any) -> None:
        received.append(placement)

    placement_changed.connect(fail)
    placement_changed.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            placing.place(call.pk)
    finally:
        placement_changed.disconnect(fail)
        placement_changed.disconnect(listen)

    assert CallRequest.objects.get(pk=call.pk).placement == Placement.ACCEPTED
    assert received == [Placement.SENDING, Placement.ACCEPTED]
