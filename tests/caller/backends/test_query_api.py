"""The backend asks the service about a call and hangs it up: what it sends, and how it interprets
each answer.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from django_poketalk.backends import ServiceCall
from django_poketalk.backends.click2call import Click2CallBackend
from django_poketalk.backends.locmem import LocmemBackend
from django_poketalk.exceptions import NoClearAnswer
from django_poketalk.protocol.codes import CallStatus

from .test_click2call import Service

CALL = {
    "id": 7,
    "custom": "web1",
    "state": "active",
    "status": 7,
    "duration": 75,
    "cost": "0.421",
    "hangup_cause": "",
}


class QueryAPI(Service):
    """Answers the list of calls, and each POST with `hang_up`."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[dict[str, Any]] = [CALL]
        self.hang_up = "202 Accepted"
        self.balance = b'{"balance": "9.000", "currency": "EUR"}'

    def _read(self, peer: socket.socket) -> bytes:
        head = super()._read(peer)
        if head.startswith(b"POST"):
            self.answer(b"{}", self.hang_up)
        elif b"/balance/ " in head:
            self.answer(self.balance)
        elif self.calls is not None:
            self.answer(json.dumps({"results": self.calls}).encode())
        return head


@pytest.fixture
def api(poketalk: Callable[..., None]) -> Iterator[QueryAPI]:
    api = QueryAPI()
    poketalk(CALLS_API=f"http://127.0.0.1:{api.port}/api/", API_KEY="s3cret")
    yield api
    api.close()


def lines(api: QueryAPI) -> list[str]:
    return [request.split(b" HTTP/")[0].decode() for request in api.requests]


def test_hanging_up_asks_for_the_call_and_ends_it_with_the_key(api: QueryAPI) -> None:
    assert Click2CallBackend().hang_up("web1")

    assert lines(api) == ["GET /api/calls/?custom=web1", "POST /api/calls/7/hang-up/"]
    for request in api.requests:
        assert b"Authorization: Api-Key s3cret\r\n" in request


def test_a_call_that_has_ended_counts_as_hung_up(api: QueryAPI) -> None:
    api.hang_up = "409 Conflict"

    assert Click2CallBackend().hang_up("web1")


def test_any_other_answer_is_no_hang_up(api: QueryAPI) -> None:
    api.hang_up = "404 Not Found"

    with pytest.raises(NoClearAnswer, match="404"):
        Click2CallBackend().hang_up("web1")


def test_a_call_that_the_service_does_not_know_is_not_hung_up(api: QueryAPI) -> None:
    api.calls = [{**CALL, "custom": "web10"}]

    assert not Click2CallBackend().hang_up("web1")
    assert Click2CallBackend().look_up("web1") is None
    assert not any(line.startswith("POST") for line in lines(api))


def test_looking_up_returns_the_state_and_the_cause(api: QueryAPI) -> None:
    assert Click2CallBackend().look_up("web1") == ServiceCall(
        False, CallStatus.B_ANSWERED, 75, Decimal("0.421")
    )

    api.calls = [{**CALL, "state": "ended", "status": 6, "hangup_cause": "busy"}]
    assert Click2CallBackend().look_up("web1") == ServiceCall(
        True, CallStatus.B_FAILED, 75, Decimal("0.421"), "busy"
    )


@pytest.mark.parametrize(
    "call",
    [
        {"id": "../../balance", "custom": "web1"},
        {**CALL, "status": 9},
        {**CALL, "cost": "much"},
        {**CALL, "state": None, "cost": None},
        {"id": 7, "custom": "web1"},
        "web1",
    ],
)
def test_a_strange_answer_is_no_clear_answer(api: QueryAPI, call: Any) -> None:
    api.calls = [call]

    with pytest.raises(NoClearAnswer):
        Click2CallBackend().look_up("web1")


def test_no_id_of_an_answer_leads_elsewhere(api: QueryAPI) -> None:
    api.calls = [{**CALL, "id": "7/../../9"}]

    with pytest.raises(NoClearAnswer):
        Click2CallBackend().hang_up("web1")

    assert lines(api) == ["GET /api/calls/?custom=web1"]


def test_redirects_are_not_followed_so_that_the_key_stays_here(api: QueryAPI) -> None:
    other = QueryAPI()
    api.calls = None  # type: ignore[assignment]
    api.answer(b"", "302 Found", f"Location: http://127.0.0.1:{other.port}/api/calls/\r\n")

    with pytest.raises(NoClearAnswer):
        Click2CallBackend().hang_up("web1")

    assert other.requests == []
    other.close()


def test_an_endless_answer_is_given_up(api: QueryAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_poketalk.backends.query_api.TIMEOUT", 0.3)
    api.drip, api.at_once = 0.02, 90

    with pytest.raises(NoClearAnswer):
        Click2CallBackend().hang_up("web1")


def test_a_service_that_does_not_answer_raises_without_its_url(api: QueryAPI) -> None:
    api.close()

    with pytest.raises(NoClearAnswer) as raised:
        Click2CallBackend().hang_up("web1")
    assert "127.0.0.1" not in str(raised.value)


def test_without_the_setting_nothing_is_asked(poketalk: Callable[..., None]) -> None:
    poketalk(CALLS_API="")

    for backend in (Click2CallBackend(), LocmemBackend()):
        assert not backend.can_ask
        assert not backend.hang_up("web1")
        assert backend.look_up("web1") is None


@pytest.mark.parametrize(
    ("a", "b", "cause"),
    [
        ("other_leg", "normal", "callee_hung_up"),
        ("normal", "other_leg", "caller_hung_up"),
        ("normal", "normal", "normal"),
    ],
)
def test_looking_up_says_who_hung_up(a: str, b: str, cause: str, api: QueryAPI) -> None:
    legs = [{"side": "A", "hangup_cause": a}, {"side": "B", "hangup_cause": b}]
    ended = {"state": "ended", "status": 8, "hangup_cause": "normal"}
    api.calls = [{**CALL, **ended, "legs": legs}]

    found = Click2CallBackend().look_up("web1")

    assert found is not None
    assert found.cause == cause


def test_the_currency_is_that_of_the_account(api: QueryAPI, poketalk: Callable[..., None]) -> None:
    assert Click2CallBackend().account_currency() == "EUR"
    assert lines(api) == ["GET /api/balance/"]

    api.balance = b"<html>"
    with pytest.raises(NoClearAnswer, match="currency"):
        Click2CallBackend().account_currency()

    poketalk(CALLS_API="")
    assert Click2CallBackend().account_currency() == ""
