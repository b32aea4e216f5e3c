"""The backend of "Write your own backend", exactly as it is printed, and the webhook view."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.core import checks
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from django_poketalk.backends import BaseBackend, get_backend
from django_poketalk.calls import asking, placing, requesting
from django_poketalk.exceptions import NoClearAnswer, NotConnected
from django_poketalk.models import CallEvent, CallRequest, Placement
from django_poketalk.presentation import sent_request
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.shared.deadline import Overdue

from .test_click2call import Service

pytestmark = pytest.mark.django_db
SECRET = "webhook secret"
HOOK = "/poketalk/webhooks/default/"
Change = Callable[..., None]


class Acme(Service):
    """A server that answers as Acme does."""

    def answer_json(self, body: Any, status: str = "200 OK") -> None:
        self.answer(json.dumps(body).encode(), status)

    @property
    def lines(self) -> list[str]:
        return [request.split(b" HTTP/")[0].decode() for request in self.requests]


@pytest.fixture
def acme(poketalk: Change) -> Iterator[Acme]:
    acme = Acme()
    acme.answer_json({"id": "acme/7"}, "201 Created")
    poketalk(
        BACKEND="acme.AcmeBackend",
        URL=f"http://127.0.0.1:{acme.port}/v1",
        OPTIONS={"webhook_secret": SECRET},
        READ_TIMEOUT=1.0,
    )
    yield acme
    acme.close()


@pytest.fixture
def placed(acme: Acme, call: CallRequest) -> CallRequest:
    placing.place(call.pk)
    call.refresh_from_db()
    return call


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The calls that a worker should ask the service to end."""
    found: list[int] = []
    monkeypatch.setattr(
        "django_poketalk.calls.task_publisher.hang_up", lambda pk, delay=0: found.append(pk)
    )
    return found


def report(call: CallRequest, state: str, seconds: int = 0, price: str = "0") -> bytes:
    facts = {"id": "acme/7", "customer_ref": call.webcallid, "state": state}
    facts |= {"seconds": str(seconds), "price": price}
    return json.dumps({"type": "call", "call": facts}).encode()


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    moment = str(int(time.time() if at is None else at))
    message = moment.encode() + b"." + body
    return f"t={moment},v1={hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()}"


def send(body: bytes, signature: str | None = None, path: str = HOOK) -> int:
    headers = {"Acme-Signature": signed(body) if signature is None else signature}
    return (
        Client(raise_request_exception=False)
        .post(path, body, "application/json", headers=headers)
        .status_code
    )


# Placing


def test_the_order_is_sent_once_and_the_reference_is_kept(acme: Acme, placed: CallRequest) -> None:
    [request] = acme.requests
    head, _, body = request.partition(b"\r\n\r\n")

    assert head.startswith(b"POST /v1/calls ")
    assert b"Authorization: Bearer the-key" in head
    assert json.loads(body) == {
        "from": placed.from_number,
        "to": placed.to_number,
        "customer_ref": placed.webcallid,
        "webhook": f"https://crm.example.com{HOOK}",
    }
    assert (placed.placement, placed.reference) == (Placement.ACCEPTED, "acme/7")


def test_a_refusal_is_displayed(acme: Acme, call: CallRequest) -> None:
    acme.answer_json({"error": "no credit"}, "402 Payment Required")

    placing.place(call.pk)

    call.refresh_from_db()
    assert (call.placement, call.response_detail) == (Placement.REJECTED, "no credit")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"id": 7}', b'{"error": "?"}'])
def test_an_answer_that_is_not_clear_is_never_sent_again(
    acme: Acme, call: CallRequest, body: bytes
) -> None:
    acme.answer(body, "201 Created")

    placing.place(call.pk)
    placing.place(call.pk)

    call.refresh_from_db()
    assert call.placement == Placement.UNKNOWN
    assert len(acme.requests) == 1


def test_a_provider_that_cannot_be_reached_is_tried_again(acme: Acme, call: CallRequest) -> None:
    acme.close()

    with pytest.raises(NotConnected):
        get_backend("default").place(placing.order_of(call))


def test_a_reference_that_cannot_be_stored_is_left_out(acme: Acme, call: CallRequest) -> None:
    acme.answer_json({"id": "7" * 101}, "201 Created")

    placing.place(call.pk)

    call.refresh_from_db()
    assert (call.placement, call.reference) == (Placement.ACCEPTED, "")


def test_the_request_is_displayed_without_the_key(placed: CallRequest) -> None:
    sent = sent_request.request_of(placed, whole=True)

    assert sent is not None
    assert sent.line.startswith("POST http://127.0.0.1")
    assert "the-key" not in str(sent)


# Webhooks


def test_signed_reports_are_recorded_like_events(placed: CallRequest) -> None:
    history = ["dialing-caller", "caller-answered", "dialing-callee", "connected", "completed"]

    assert [send(report(placed, state, 8 * n, "0.5")) for n, state in enumerate(history)] == (
        [200] * 5
    )

    call = CallRequest.objects.get()
    assert (call.status, call.cost) == (CallStatus.AB_DISCONNECTED, Decimal("0.5"))
    assert call.a_initiated_at <= call.b_answered_at <= call.ended_at
    assert CallEvent.objects.count() == 5


def test_a_report_may_name_the_reference_alone(placed: CallRequest) -> None:
    body = report(placed, "connected").replace(placed.webcallid.encode(), b"")

    assert send(body) == 200
    assert CallRequest.objects.get().status == CallStatus.B_ANSWERED


@pytest.mark.parametrize(
    "forge",
    [
        lambda body: "",
        lambda body: signed(body, "another secret"),
        lambda body: signed(body + b" "),
        lambda body: signed(body, at=time.time() - 301),
        lambda body: signed(body).replace("t=", "t=1"),
        lambda body: signed(body)[:-1],
        lambda body: "t=٣,v1=",
    ],
)
def test_a_forged_report_is_refused_without_a_query(
    placed: CallRequest, django_assert_num_queries: Any, forge: Callable[[bytes], str]
) -> None:
    body = report(placed, "completed")
    signature = forge(body).encode().decode("latin-1")

    with django_assert_num_queries(0):
        assert send(body, signature) == 403
    assert CallRequest.objects.get().status is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'{"type": "call"}',
        b'{"type": "call", "call": {"state": "?"}}',
        b'{"type": "call", "call": {"id": "", "customer_ref": "", "state": "completed",'
        b' "seconds": "0", "price": "NaN"}}',
        b'{"type": "call", "call": {"id": "", "customer_ref": "", "state": "completed",'
        b' "seconds": "-1", "price": "1"}}',
    ],
)
def test_a_report_that_cannot_be_read_is_refused(acme: Acme, body: bytes) -> None:
    assert send(body) == 400


def test_other_reports_and_other_calls(placed: CallRequest) -> None:
    stranger = CallRequest(webcallid="0" * 32)

    assert send(b'{"type": "invoice"}') == 200
    assert send(report(stranger, "connected").replace(b"acme/7", b"acme/8")) == 404
    assert send(report(CallRequest(webcallid=""), "connected").replace(b"acme/7", b"")) == 404


def test_only_this_service_reports_its_calls(placed: CallRequest, poketalk: Change) -> None:
    other = {"BACKEND": "acme.AcmeBackend", "OPTIONS": {"webhook_secret": "theirs"}}
    poketalk(SERVICES={"other": other})
    body = report(placed, "completed")

    assert send(body, signed(body, "theirs"), "/poketalk/webhooks/other/") == 404
    assert CallRequest.objects.get().status is None


def test_the_view_is_closed_where_it_is_not_needed(acme: Acme, poketalk: Change) -> None:
    assert Client().get(HOOK).status_code == 405
    assert send(b"{}", path="/poketalk/webhooks/nowhere/") == 404
    assert send(b"x" * 65537) == 413
    poketalk(BACKEND="django_poketalk.backends.locmem.LocmemBackend")
    assert send(b"{}") == 404


@pytest.mark.parametrize("error", [Overdue(), OperationalError()])
def test_without_the_database_the_provider_should_repeat_the_report(
    placed: CallRequest, error: Exception
) -> None:
    with mock.patch("django_poketalk.calls.webhooks.receive", side_effect=error):
        assert send(report(placed, "connected")) == 503


# Hanging up


def test_a_call_over_its_limit_is_hung_up(
    acme: Acme, placed: CallRequest, asked: list[int]
) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    CallRequest.objects.update(sent_at=long_ago)

    assert send(report(placed, "connected", 3600)) == 200

    assert asked == [placed.pk]
    acme.answer_json({}, "202 Accepted")
    asking.hang_up(placed.pk)
    assert acme.lines[-1] == "POST /v1/calls/acme%2F7/hangup"
    assert CallRequest.objects.get().veto_reason == "maximum duration"


@pytest.mark.parametrize("state", ["dialing-caller", "caller-answered", "dialing-callee"])
def test_a_person_can_hang_up_in_each_phase(acme: Acme, placed: CallRequest, state: str) -> None:
    send(report(placed, state))
    placed.refresh_from_db()
    acme.answer_json({}, "409 Conflict")

    assert requesting.hang_up(placed)
    asking.hang_up(placed.pk)

    assert acme.lines[-1].endswith("/hangup")


def test_an_unclear_answer_to_a_hang_up_is_an_error(acme: Acme) -> None:
    backend = get_backend("default")
    acme.answer_json({}, "404 Not Found")
    assert not backend.hang_up("web1", "7")
    assert not backend.hang_up("web1")
    acme.answer_json({}, "500 Internal Server Error")
    with pytest.raises(NoClearAnswer):
        backend.hang_up("web1", "7")


# Looking up


def test_a_call_that_reports_nothing_is_looked_up(acme: Acme, placed: CallRequest) -> None:
    CallRequest.objects.update(sent_at=timezone.now() - timedelta(seconds=200), placed_at=None)
    facts = json.loads(report(placed, "callee-failed", 9, "0.1"))["call"]
    acme.answer_json({"calls": [{**facts, "cause": "busy"}]})

    assert placing.sweep().stale == 0

    call = CallRequest.objects.get()
    assert (call.status, call.hangup_cause) == (CallStatus.B_FAILED, "busy")


@pytest.mark.parametrize(
    "answer", [{}, {"calls": 7}, {"calls": [{"customer_ref": "web1", "state": "?"}]}]
)
def test_an_unclear_description_is_an_error(acme: Acme, answer: Any) -> None:
    acme.answer_json(answer)

    with pytest.raises(NoClearAnswer):
        get_backend("default").look_up("web1")


def test_an_unknown_call_is_none(acme: Acme) -> None:
    acme.answer_json({"calls": []})

    assert get_backend("default").look_up("web1") is None


# Checks


class Mute(BaseBackend):
    """Receives webhooks, but can neither read them nor hang up."""

    receives_webhooks = True

    def place(self, order: Any) -> Any:
        raise NotImplementedError


def test_a_backend_with_webhooks_must_read_them_and_hang_up(poketalk: Change, acme: Acme) -> None:
    assert ids() == set()
    poketalk(BACKEND=f"{__name__}.Mute", EVENT_BASE_URL="")
    assert ids() == {"poketalk.E023", "poketalk.W015"}


def ids() -> set[str | None]:
    return {message.id for message in checks.run_checks(tags=["poketalk"])}
