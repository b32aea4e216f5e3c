"""The event view: its answers, and what it records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from django_poketalk.calls import placing, requesting
from django_poketalk.events import incoming, tokens
from django_poketalk.models import CallEvent, CallRequest, Placement
from django_poketalk.protocol import eventurl
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.shared.deadline import Overdue
from django_poketalk.signals import call_vetoed, status_changed

NewCall = Callable[..., CallRequest]
Change = Callable[..., None]

BASE = "https://crm.example.com"


def tell(client: Client, call: CallRequest, status: int, duration: int = 0, cost: str = "0") -> int:
    """Request the call's EventURL as a service does. Returns the HTTP status."""
    event = Event(CallStatus(status), call.webcallid, duration, Decimal(cost))
    url = eventurl.expand(incoming.event_url(call), event)
    return client.get(url.removeprefix(BASE)).status_code


@pytest.fixture
def placed(call: CallRequest) -> CallRequest:
    placing.place(call.pk)
    call.refresh_from_db()
    return call


class TestRecording:
    def test_all_events_of_a_call_are_recorded(self, client: Client, placed: CallRequest) -> None:
        history = [(1, 0, "0"), (3, 0, "0.02"), (5, 0, "0.02"), (7, 8, "0.05"), (7, 60, "0.3")]
        answers = [tell(client, placed, *data) for data in [*history, (8, 75, "0.375")]]

        call = CallRequest.objects.get(pk=placed.pk)
        assert answers == [200] * 6
        assert call.status == CallStatus.AB_DISCONNECTED
        assert (call.duration, call.cost) == (75, Decimal("0.375"))
        assert call.a_initiated_at <= call.a_answered_at <= call.b_initiated_at
        assert call.b_initiated_at <= call.b_answered_at <= call.ended_at
        assert not call.is_open

    def test_each_event_is_stored_as_received(self, client: Client, placed: CallRequest) -> None:
        tell(client, placed, 3, 12, "0.515")

        (event,) = placed.events.all()
        assert (event.status, event.duration, event.cost) == (3, 12, Decimal("0.515"))
        assert (event.answer, event.reason, event.times) == (200, "", 1)
        assert event.remote_address == "127.0.0.1"

    def test_missing_variables_change_nothing(self, client: Client, placed: CallRequest) -> None:
        tell(client, placed, 7, 30, "0.5")
        path = incoming.event_url(placed).removeprefix(BASE).partition("?")[0]

        assert client.get(f"{path}?status=8").status_code == 200
        call = CallRequest.objects.get(pk=placed.pk)
        assert (call.status, call.duration, call.cost) == (8, 30, Decimal("0.5"))

    def test_status_4_after_status_6_changes_nothing(
        self, client: Client, placed: CallRequest
    ) -> None:
        tell(client, placed, 6, 9, "0.1")
        tell(client, placed, 4, 9, "0.1")

        assert CallRequest.objects.get(pk=placed.pk).status == CallStatus.B_FAILED
        assert placed.events.count() == 2


class TestHangingUp:
    @pytest.mark.parametrize("status", [0, 1, 3, 5, 7])
    def test_after_a_hang_up_all_events_but_the_final_one_are_answered_412(
        self, client: Client, placed: CallRequest, user: Any, status: int
    ) -> None:
        assert tell(client, placed, status) == 200
        requesting.hang_up(placed, user)

        assert tell(client, placed, status) == 412
        assert tell(client, placed, status) == 412
        assert tell(client, placed, 8) == 200

        assert CallRequest.objects.get(pk=placed.pk).veto_reason == "hang-up requested"
        assert [(e.answer, e.reason, e.times) for e in placed.events.all()] == [
            (412, "hang-up requested", 3),
            (200, "", 1),
        ]

    def test_the_maximum_duration_ends_the_call(self, client: Client, new_call: NewCall) -> None:
        call = new_call(max_duration=300)

        assert tell(client, call, 7, 299) == 200
        assert tell(client, call, 7, 300) == 412
        assert CallRequest.objects.get(pk=call.pk).veto_reason == "maximum duration"

    def test_the_maximum_cost_ends_the_call(self, client: Client, new_call: NewCall) -> None:
        call = new_call(max_cost=Decimal("0.5"))

        assert tell(client, call, 7, 60, "0.499") == 200
        assert tell(client, call, 7, 120, "0.500") == 412
        assert CallRequest.objects.get(pk=call.pk).veto_reason == "maximum cost"

    def test_a_final_event_above_the_limits_is_answered_200(
        self, client: Client, new_call: NewCall
    ) -> None:
        assert tell(client, new_call(max_duration=300), 8, 301) == 200

    def test_a_final_event_after_the_end_is_answered_200(
        self, client: Client, placed: CallRequest
    ) -> None:
        assert [tell(client, placed, status) for status in (6, 4, 6)] == [200] * 3

    def test_a_canceled_call_that_rings_is_ended(self, client: Client, call: CallRequest) -> None:
        requesting.cancel(call)

        assert tell(client, call, 1) == 412

    def test_a_veto_rule_ends_the_call_with_its_reason(
        self, client: Client, placed: CallRequest, poketalk: Change
    ) -> None:
        poketalk(VETO_RULES=[f"{__name__}.no_long_talks"])

        assert tell(client, placed, 7, 29) == 200
        assert tell(client, placed, 7, 30) == 412
        assert placed.events.last().reason == "30 s are enough"

    def test_a_long_reason_is_truncated(
        self, client: Client, placed: CallRequest, poketalk: Change
    ) -> None:
        poketalk(VETO_RULES=[f"{__name__}.talkative_rule"])

        assert tell(client, placed, 1) == 412
        assert CallRequest.objects.get(pk=placed.pk).veto_reason == "why " * 50

    def test_412_is_repeated_until_the_end_even_if_the_rule_no_longer_applies(
        self, client: Client, placed: CallRequest, poketalk: Change
    ) -> None:
        poketalk(VETO_RULES=[f"{__name__}.no_long_talks"])
        assert tell(client, placed, 7, 30) == 412
        poketalk(VETO_RULES=[])

        assert tell(client, placed, 7, 31) == 412
        assert tell(client, placed, 8, 31) == 200

    @pytest.mark.parametrize("rule", ["broken_rule", "no_such_rule"])
    def test_a_failing_rule_is_ignored_and_the_others_apply(
        self,
        client: Client,
        placed: CallRequest,
        poketalk: Change,
        caplog: pytest.LogCaptureFixture,
        rule: str,
    ) -> None:
        poketalk(VETO_RULES=[f"{__name__}.{rule}", f"{__name__}.no_long_talks"])

        assert tell(client, placed, 7, 29) == 200
        assert rule in caplog.text
        assert tell(client, placed, 7, 30) == 412


def no_long_talks(call: CallRequest, event: Event) -> str:
    return "30 s are enough" if call.duration >= 30 else ""


def talkative_rule(call: CallRequest, event: Event) -> str:
    return "why " * 100


def broken_rule(call: CallRequest, event: Event) -> str:
    raise ZeroDivisionError


class TestSignals:
    @pytest.fixture
    def received(self, placed: CallRequest) -> Any:
        received: list[tuple[str, Any]] = []

        def on_status(call: CallRequest, event: Event, **kwargs: Any) -> None:
            received.append(("status", call.status))

        def on_veto(call: CallRequest, reason: str, **kwargs: Any) -> None:
            received.append(("veto", reason))

        status_changed.connect(on_status)
        call_vetoed.connect(on_veto)
        yield received
        status_changed.disconnect(on_status)
        call_vetoed.disconnect(on_veto)

    def test_each_signal_is_sent_once(
        self,
        client: Client,
        placed: CallRequest,
        received: list[tuple[str, Any]],
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            for status in (1, 1, 3, 1):
                tell(client, placed, status)
            requesting.hang_up(placed)
            for status in (3, 3, 4):
                tell(client, placed, status)

        assert received == [
            ("status", 1),
            ("status", 3),
            ("veto", "hang-up requested"),
            ("status", 4),
        ]


class TestWhatIsNotAnEvent:
    @pytest.mark.parametrize(
        "query",
        [
            "",
            "status=",
            "status=9",
            "status=-1",
            "status=٣",
            "status=%D9%A3",
            "status=3%00",
            "status=3&status=3",
            "status=3&duration=1_0",
            "status=3&duration=-1",
            "status=3&duration=1e3",
            "status=3&duration=99999999999",
            "status=3&debit=NaN",
            "status=3&debit=Infinity",
            "status=3&debit=1E%2B999999",
            "status=3&debit=-0.1",
            "status=3&debit=0,1",
            "status=3&webcallid=%0d%0a",
            "status=3&webcallid=%ff",
            "status=3&webcallid=%zz",
            f"status=3&x={'y' * 5_000_000}",
        ],
    )
    def test_an_invalid_event_is_answered_400_and_not_recorded(
        self, client: Client, placed: CallRequest, query: str
    ) -> None:
        path = incoming.event_url(placed).removeprefix(BASE).partition("?")[0]

        response = client.get(path, QUERY_STRING=query)

        assert response.status_code == 400
        assert not CallEvent.objects.exists()
        assert CallRequest.objects.get(pk=placed.pk).status is None

    @pytest.mark.parametrize("method", ["post", "head", "put", "delete", "patch", "options"])
    def test_other_methods_are_answered_405(
        self, client: Client, placed: CallRequest, method: str
    ) -> None:
        url = incoming.event_url(placed).removeprefix(BASE).replace("$status", "8")

        assert getattr(client, method)(url).status_code == 405
        assert not CallEvent.objects.exists()


class TestTokens:
    def test_a_forged_or_altered_url_is_answered_404_without_a_query(
        self, client: Client, placed: CallRequest, django_assert_num_queries: Any
    ) -> None:
        token = tokens.make(tokens.Limits(placed.pk, 3600, Decimal("1.5")))
        forged = [token[:i] + chr(ord(token[i]) ^ 1) + token[i + 1 :] for i in range(len(token))]
        forged += [
            token[:-1],
            token + "A",
            "",
            "x",
            token.replace("3600", "36000"),
            "٣" + token[1:],
        ]

        with django_assert_num_queries(0):
            for bad in forged:
                path = f"/poketalk/events/{bad}/?status=8"
                assert client.get(path).status_code == 404, bad

    def test_a_token_contains_the_signed_limits(self) -> None:
        for limits in (
            tokens.Limits(1, 3600, None),
            tokens.Limits(10**18, 1, Decimal("0.5")),
            tokens.Limits(7, 2**31 - 1, Decimal("999999999.999999")),
            tokens.Limits(7, 60, Decimal(100)),
            tokens.Limits(7, 60, Decimal(0)),
        ):
            assert tokens.read(tokens.make(limits)) == limits

    def test_a_rotated_secret_key_keeps_live_calls_alive(self, settings: Any) -> None:
        token = tokens.make(tokens.Limits(1, 60, None))
        old, settings.SECRET_KEY = settings.SECRET_KEY, "another key"

        assert tokens.read(token) is None
        settings.SECRET_KEY_FALLBACKS = [old]
        assert tokens.read(token) == tokens.Limits(1, 60, None)

    def test_the_url_of_a_deleted_call(self, client: Client, placed: CallRequest) -> None:
        url = incoming.event_url(placed).removeprefix(BASE)
        placed.delete()

        assert client.get(url.replace("$status", "7").partition("&duration")[0]).status_code == 412
        assert client.get(url.replace("$status", "8").partition("&duration")[0]).status_code == 200
        assert not CallEvent.objects.exists()


class TestWithoutTheDatabase:
    @pytest.fixture(params=[OperationalError("gone"), Overdue()], ids=["down", "frozen"])
    def _no_database(self, request: pytest.FixtureRequest) -> Any:
        with mock.patch("django_poketalk.events.recording.record", side_effect=request.param):
            yield

    @pytest.mark.usefixtures("_no_database")
    @pytest.mark.parametrize(
        ("status", "duration", "cost", "answer"),
        [
            (7, 299, "0.499", 503),
            (7, 300, "0.1", 412),
            (3, 10, "0.500", 412),
            (8, 301, "0.6", 503),
        ],
    )
    def test_the_signed_limits_apply(
        self,
        client: Client,
        new_call: NewCall,
        status: int,
        duration: int,
        cost: str,
        answer: int,
    ) -> None:
        call = new_call(max_duration=300, max_cost=Decimal("0.5"))

        assert tell(client, call, status, duration, cost) == answer


def test_the_address_of_an_event_behind_a_proxy_is_recorded(
    client: Client, placed: CallRequest, poketalk: Change
) -> None:
    poketalk(TRUSTED_PROXIES=["127.0.0.0/8"])
    url = incoming.event_url(placed).removeprefix(BASE).replace("$status", "1").partition("&dur")[0]

    client.get(url, headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.9"})

    assert placed.events.get().remote_address == "203.0.113.9"


def test_the_token_is_not_logged(
    client: Client, placed: CallRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    requesting.hang_up(placed)
    token = incoming.event_url(placed).partition("/events/")[2].partition("/")[0]

    tell(client, placed, 7)
    client.get(f"/poketalk/events/{token}/?status=x")
    client.head(f"/poketalk/events/{token}/?status=8")

    assert f"Ending call {placed.pk}: hang-up requested." in caplog.text
    assert token not in caplog.text


def test_an_expired_call_cannot_begin_sending(new_call: NewCall) -> None:
    call = new_call()
    later = call.expires_at + timedelta(seconds=1)

    assert not call.begin_sending(later)
    assert CallRequest.objects.get(pk=call.pk).placement == Placement.QUEUED
    assert timezone.now() < later
