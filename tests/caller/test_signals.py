"""The signals of a call's life: what each is sent with, and that it is sent after the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from django_poketalk import signals
from django_poketalk.backends import locmem
from django_poketalk.backends.base import Answer, Verdict
from django_poketalk.calls import placing, requesting
from django_poketalk.events import incoming
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallRequest, ManualResolution, Placement
from django_poketalk.protocol import eventurl
from django_poketalk.protocol.codes import CallStatus, ResponseCode
from django_poketalk.protocol.eventurl import Event

from .conftest import CALLEE, CALLER

NAMES = ("call_requested", "placement_changed", "hang_up_requested", "call_ended")
Received = list[tuple[str, dict[str, Any]]]
NewCall = Callable[..., CallRequest]

pytestmark = pytest.mark.django_db(transaction=True)  # so that commits are real


@pytest.fixture
def received() -> Iterator[Received]:
    """The signals in the order in which they are sent, with what they are sent with."""
    received: Received = []
    receivers = []
    for name in NAMES:

        def listen(sender: type, name: str = name, **facts: Any) -> None:
            assert sender is CallRequest
            assert not transaction.get_connection().in_atomic_block
            facts.pop("signal")
            received.append((name, facts))

        receivers.append((getattr(signals, name), listen))
        getattr(signals, name).connect(listen)
    yield received
    for signal, listen in receivers:
        signal.disconnect(listen)


def names(received: Received) -> list[str]:
    found = [name for name, _facts in received]
    received.clear()
    return found


def tell(call: CallRequest, status: int, duration: int = 0) -> int:
    event = Event(CallStatus(status), call.webcallid, duration, Decimal(0))
    url = eventurl.expand(incoming.event_url(call), event)
    return Client().get(url.removeprefix("https://crm.example.com")).status_code


def test_a_request_is_announced_with_the_call(new_call: NewCall, received: Received) -> None:
    with transaction.atomic():
        call = new_call()
        assert received == []

    assert received == [("call_requested", {"call": call})]


def test_a_request_that_is_rolled_back_or_refused_is_not_announced(
    new_call: NewCall, received: Received
) -> None:
    with transaction.atomic():
        new_call()
        transaction.set_rollback(True)
    with pytest.raises(CallRefused):
        new_call(to_number=CALLER)

    assert received == []


def test_a_repeated_request_is_announced_once(new_call: NewCall, received: Received) -> None:
    order = {"from_number": CALLER, "to_number": CALLEE, "idempotency_key": "one"}
    requesting.request_call(**order)
    requesting.request_call(**order)

    assert names(received) == ["call_requested"]


def test_a_canceled_call(user: Any, call: CallRequest, received: Received) -> None:
    received.clear()

    requesting.hang_up(call, user)
    requesting.hang_up(call, user)

    assert dict(received)["hang_up_requested"] == {"call": call, "user": user}
    assert names(received) == ["placement_changed", "call_ended", "hang_up_requested"]


def test_a_call_that_is_hung_up(user: Any, call: CallRequest, received: Received) -> None:
    placing.place(call.pk)
    tell(call, 7, 10)
    call.refresh_from_db()
    received.clear()

    requesting.hang_up(call, user)
    requesting.hang_up(call, user)
    assert received == [("hang_up_requested", {"call": call, "user": user})]
    received.clear()

    assert tell(call, 7, 20) == 412
    assert names(received) == []
    for _time in range(2):
        tell(call, 8, 21)
    [(name, facts)] = received
    assert name == "call_ended"
    assert (facts["call"].pk, facts["call"].duration, facts["call"].is_open) == (call.pk, 21, False)


@pytest.mark.parametrize("final", [2, 4, 6, 8])
def test_every_final_status_ends_the_call(
    call: CallRequest, received: Received, final: int
) -> None:
    placing.place(call.pk)
    tell(call, 1)
    received.clear()

    tell(call, final)

    assert names(received) == ["call_ended"]


def test_a_refused_call_ends(call: CallRequest, received: Received) -> None:
    locmem.answers.append(Answer(Verdict.REJECTED, ResponseCode.BLACKLISTED, "no"))
    received.clear()

    placing.place(call.pk)

    assert names(received) == ["placement_changed", "placement_changed", "call_ended"]


def test_a_call_without_a_clear_answer_ends_when_it_is_resolved(
    call: CallRequest, received: Received
) -> None:
    locmem.answers.append(Answer(Verdict.UNKNOWN, None, "?"))
    placing.place(call.pk)
    assert "call_ended" not in names(received)
    call.refresh_from_db()

    requesting.resolve(call, ManualResolution.OVER)

    assert names(received) == ["placement_changed", "call_ended"]


def test_a_call_that_expires_ends(call: CallRequest, received: Received) -> None:
    received.clear()

    placing.sweep(timezone.now() + timedelta(hours=1))

    assert names(received) == ["placement_changed", "call_ended"]


def test_a_call_without_events_ends_and_again_if_it_went_on(
    call: CallRequest, received: Received
) -> None:
    placing.place(call.pk)
    received.clear()

    placing.sweep(timezone.now() + timedelta(hours=1))
    assert names(received) == ["call_ended"]

    tell(call, 7, 10)
    assert names(received) == []
    tell(call, 8, 20)
    assert names(received) == ["call_ended"]


def test_a_moved_placement_is_announced_with_both(call: CallRequest, received: Received) -> None:
    received.clear()

    placing.place(call.pk)

    moves = [(facts["previous"], facts["placement"]) for _name, facts in received]
    assert moves == [
        (Placement.QUEUED, Placement.SENDING),
        (Placement.SENDING, Placement.ACCEPTED),
    ]
