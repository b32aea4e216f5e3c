"""A suite of tests that any backend passes: nobody is rung twice, whatever fails, and each call
ends when it should.

    class TestAcme(BackendSuite):
        provider_class = FakeAcme  # a `FakeProvider`
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from django.test import Client

from ..backends import BaseBackend, Order, ServiceCall, Verdict, get_backend
from ..calls import asking, placing, requesting
from ..exceptions import NotConnected
from ..models import CallEvent, CallRequest, Placement
from ..protocol.codes import HTTP_HANG_UP, CallStatus
from .fake_provider import SITE, FakeProvider, Fault, Received, Reply

__all__ = ["BackendSuite", "FakeProvider", "Fault", "Received", "Reply"]

TIMEOUT = 0.4  # seconds to connect, and again for the answer
MARGIN = 3.0  # seconds that a test allows beyond both
CALLER, CALLEE = "+442079460000", "+442079460123"
HISTORY = [  # of a call: status, seconds, cost
    (CallStatus.A_INITIATED, 0, Decimal(0)),
    (CallStatus.A_ANSWERED, 0, Decimal(0)),
    (CallStatus.B_INITIATED, 1, Decimal("0.01")),
    (CallStatus.B_ANSWERED, 9, Decimal("0.05")),
    (CallStatus.AB_DISCONNECTED, 69, Decimal("0.35")),
]
PHASES = [None, *(status for status, _seconds, _cost in HISTORY[:-1])]


@pytest.mark.django_db
class BackendSuite:
    """Set `provider_class` to the fake of your provider."""

    provider_class: ClassVar[type[FakeProvider]]

    @pytest.fixture
    def provider(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
        found = self.provider_class()
        settings.POKETALK = {
            "EVENT_BASE_URL": SITE,
            "CONNECT_TIMEOUT": TIMEOUT,
            "READ_TIMEOUT": TIMEOUT,
            "LIVE_CALLS_PER_USER": None,
            "CALLS_PER_HOUR_PER_CALLEE": None,
            "CALLS_PER_HOUR_PER_CALLER_PHONE": None,
            **found.service(),
        }
        publisher = "django_poketalk.calls.task_publisher"
        monkeypatch.setattr(f"{publisher}.wake", lambda pk, delay=0: None)
        # What a worker does, at once
        monkeypatch.setattr(f"{publisher}.hang_up", lambda pk, delay=0: asking.hang_up(pk))
        yield found
        found.close()

    @pytest.fixture
    def call(self, provider: FakeProvider) -> CallRequest:
        """A call that waits to be sent."""
        return requesting.request_call(from_number=CALLER, to_number=CALLEE)

    @pytest.fixture
    def placed(self, call: CallRequest) -> CallRequest:
        """A call that the provider has accepted."""
        return place(call)

    # Placing

    def test_an_accepted_order_is_sent_once(self, provider: Any, call: CallRequest) -> None:
        assert place(call).placement == Placement.ACCEPTED
        place(call)

        assert len(provider.orders) == 1

    def test_a_refused_order_is_rejected(self, provider: Any, call: CallRequest) -> None:
        provider.refuses = True

        assert place(call).placement == Placement.REJECTED

    def test_an_order_is_sent_again_if_no_connection_was_possible(
        self, provider: Any, call: CallRequest
    ) -> None:
        provider.close()

        assert place(call).placement == Placement.QUEUED
        with pytest.raises(NotConnected):
            get_backend("default").place(placing.order_of(call))

    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_after_the_first_byte_an_order_is_never_sent_again(
        self, provider: Any, call: CallRequest, fault: Fault
    ) -> None:
        provider.fault = fault

        began = time.monotonic()
        assert place(call).placement == Placement.UNKNOWN
        place(call)

        assert time.monotonic() - began < 2 * TIMEOUT + MARGIN, "the backend has no time limit"
        assert len(provider.orders) <= 1

    def test_an_answer_that_is_cut_at_any_byte_is_not_believed(self, provider: Any) -> None:
        order = Order("442079460000", "442079460123", "web1", f"{SITE}/")
        backend = get_backend("default")
        whole = len(provider.answer(received_of(provider, order)).raw())

        for cut_at in [*range(0, whole, 7), *range(whole - 4, whole)]:
            provider.cut_at = cut_at
            assert verdict(backend, order) is Verdict.UNKNOWN, f"cut at byte {cut_at}"

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_an_error_of_the_server_is_unknown(
        self, provider: Any, call: CallRequest, status: int
    ) -> None:
        provider.replaced = Reply(status, b"Internal Server Error")

        assert place(call).placement == Placement.UNKNOWN

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_not_followed(
        self, provider: Any, call: CallRequest, status: int
    ) -> None:
        elsewhere = self.provider_class()
        elsewhere.replaced = Reply(404)
        provider.replaced = Reply(status, headers={"Location": f"{elsewhere.url}/elsewhere"})

        assert place(call).placement == Placement.UNKNOWN

        elsewhere.close()
        assert elsewhere.received == [], "the key would be sent elsewhere"
        assert len(provider.received) == 1

    def test_the_request_is_described_without_the_key(
        self, provider: Any, call: CallRequest
    ) -> None:
        service = provider.service()
        secrets = [service.get("API_KEY"), *(service.get("OPTIONS") or {}).values()]
        described = str(get_backend("default").describe(placing.order_of(call)))

        assert [each for each in secrets if each and str(each) in described] == []

    # Reports

    def test_all_reports_are_recorded(self, provider: Any, placed: CallRequest) -> None:
        for report in HISTORY:
            assert send(provider, placed, *report) < 300

        assert_ended(placed)
        assert CallEvent.objects.filter(call=placed).count() == len(HISTORY)

    def test_reports_in_any_order_end_in_the_same_row(self, provider: Any, call: Any) -> None:
        orders = random.Random(7).sample([*itertools.permutations(HISTORY)], 12)  # noqa: S311
        for history in orders:
            placed = place(new_call())
            for report in history:
                send(provider, placed, *report)
            assert_ended(placed)

    def test_repeated_reports_change_nothing(self, provider: Any, placed: CallRequest) -> None:
        for report in [*HISTORY, *HISTORY[::-1], *HISTORY]:
            send(provider, placed, *report)

        assert_ended(placed)

    @pytest.mark.parametrize("lost", range(len(HISTORY) - 1))
    def test_lost_reports_do_not_keep_a_call_open(
        self, provider: Any, placed: CallRequest, lost: int
    ) -> None:
        for number, report in enumerate(HISTORY):
            if number != lost:
                send(provider, placed, *report)

        assert_ended(placed)

    @pytest.mark.parametrize("status", [CallStatus.B_ANSWERED, CallStatus.AB_DISCONNECTED])
    def test_forged_reports_are_refused(
        self, provider: Any, placed: CallRequest, status: CallStatus
    ) -> None:
        client = Client(raise_request_exception=False)

        answers = [each.status_code for each in provider.forge(client, placed, status)]

        assert answers, "your provider's `forge` sends nothing"
        assert all(400 <= answer < 500 and answer != HTTP_HANG_UP for answer in answers), answers
        placed.refresh_from_db()
        assert placed.status is None, "a forged report was recorded"

    def test_reports_of_unknown_calls_are_no_error(self, provider: Any, call: CallRequest) -> None:
        stranger = CallRequest(pk=10**9, webcallid="0" * 32, max_duration=60)

        assert send(provider, stranger, CallStatus.AB_DISCONNECTED, 1, Decimal(0)) < 500

    # Ending

    @pytest.mark.parametrize("phase", PHASES, ids=str)
    def test_a_person_can_hang_up_in_each_phase(
        self, provider: Any, placed: CallRequest, phase: CallStatus | None
    ) -> None:
        for report in HISTORY[: PHASES.index(phase)]:
            send(provider, placed, *report)
        placed.refresh_from_db()

        assert requesting.hang_up(placed)
        asking.hang_up(placed.pk)

        assert_being_ended(provider, placed)

    def test_a_call_that_has_ended_is_not_hung_up(self, provider: Any, placed: Any) -> None:
        for report in HISTORY:
            send(provider, placed, *report)
        placed.refresh_from_db()

        assert not requesting.hang_up(placed)
        asking.hang_up(placed.pk)
        assert provider.hung_up == []

    def test_a_call_ends_at_its_maximum_cost(self, provider: Any, settings: Any) -> None:
        settings.POKETALK = {**settings.POKETALK, "MAX_COST": Decimal("0.5")}
        placed = place(new_call())

        first = send(provider, placed, CallStatus.B_ANSWERED, 60, Decimal("0.5"))

        if provider.can_ask:
            assert provider.hung_up or first == HTTP_HANG_UP
        else:
            assert first == HTTP_HANG_UP

    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_a_hang_up_that_fails_is_tried_again_at_the_next_report(
        self, provider: Any, placed: CallRequest, fault: Fault
    ) -> None:
        provider.fault = fault
        began = time.monotonic()
        assert requesting.hang_up(placed)
        asking.hang_up(placed.pk)
        assert time.monotonic() - began < 2 * TIMEOUT + 2 * MARGIN

        provider.fault = None
        assert_being_ended(provider, placed)

    # Looking up

    @pytest.mark.parametrize("status", list(CallStatus)[1:], ids=lambda status: status.name)
    def test_the_backend_looks_up_the_state_of_a_call(
        self, provider: Any, placed: CallRequest, status: CallStatus
    ) -> None:
        self.skip_unless_asking(provider)
        provider.calls[placed.webcallid] = ServiceCall(status.is_final, status, 30, Decimal("0.25"))

        found = get_backend("default").look_up(placed.webcallid, placed.reference)

        assert found is not None
        assert (found.is_over, found.status) == (status.is_final, status)
        assert (found.duration, found.cost) == (30, Decimal("0.25"))

    def test_an_unknown_call_is_none(self, provider: Any) -> None:
        self.skip_unless_asking(provider)

        assert get_backend("default").look_up("0" * 32, "") is None

    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_without_a_clear_answer_nothing_is_concluded(
        self, provider: Any, placed: CallRequest, fault: Fault
    ) -> None:
        self.skip_unless_asking(provider)
        provider.fault = fault

        began = time.monotonic()
        with pytest.raises(Exception):  # noqa: B017, PT011  # any says so
            get_backend("default").look_up(placed.webcallid, placed.reference)
        assert time.monotonic() - began < 2 * TIMEOUT + 2 * MARGIN

    @pytest.mark.parametrize("reply", [Reply(500), Reply(200), Reply(200, b"{}"), Reply(200, b"[")])
    def test_an_answer_that_says_nothing_is_not_clear(
        self, provider: Any, placed: CallRequest, reply: Reply
    ) -> None:
        self.skip_unless_asking(provider)
        provider.replaced = reply

        with pytest.raises(Exception):  # noqa: B017, PT011
            get_backend("default").look_up(placed.webcallid, placed.reference)

    def skip_unless_asking(self, provider: FakeProvider) -> None:
        assert get_backend("default").can_ask == provider.can_ask, "can_ask differs"
        if not provider.can_ask:
            pytest.skip("This backend cannot ask its provider.")


def new_call() -> CallRequest:
    return requesting.request_call(from_number=CALLER, to_number=CALLEE)


def place(call: CallRequest) -> CallRequest:
    """Do what a worker does, and read the call again."""
    placing.place(call.pk)
    call.refresh_from_db()
    return call


def verdict(backend: BaseBackend, order: Order) -> Verdict | None:
    """What is certain after sending the order. None: it would be sent again."""
    try:
        return backend.place(order).verdict
    except NotConnected:
        return None
    except Exception:
        return Verdict.UNKNOWN


def received_of(provider: FakeProvider, order: Order) -> Received:
    """The request that the backend sends for this order."""
    get_backend("default").place(order)
    return provider.received[-1]


def send(
    provider: FakeProvider, call: CallRequest, status: CallStatus, duration: int, cost: Decimal
) -> int:
    """The HTTP status with which the site answers this report."""
    client = Client(raise_request_exception=False)
    answered: int = provider.report(client, call, status, duration, cost).status_code
    return answered


def assert_ended(call: CallRequest) -> None:
    call.refresh_from_db()
    status, duration, cost = HISTORY[-1]
    assert (call.status, call.duration, call.cost) == (status, duration, cost)
    assert call.ended_at is not None
    assert not call.is_open


def assert_being_ended(provider: FakeProvider, call: CallRequest) -> None:
    """The provider was asked to end the call, or is asked when it reports again."""
    answered = send(provider, call, *HISTORY[-2])
    assert call.webcallid in provider.hung_up or answered == HTTP_HANG_UP
