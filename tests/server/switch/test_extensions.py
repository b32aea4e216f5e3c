"""Calls with an extension, from the queue to a simulated phone."""

from __future__ import annotations

from typing import Any

import pytest

from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.base import LegKey
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway

from .conftest import SPEED, Service, ended, serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("fails", [False, True])
def test_leg_b_is_sent_the_extension_and_a_failure_does_not_end_the_call(
    service: Service, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    sent: list[tuple[str, str]] = []

    def dial(self: SimulatedGateway, leg_b: LegKey, digits: str) -> None:
        sent.append((leg_b.side, digits))
        if fails:
            raise RuntimeError("no tones today")

    monkeypatch.setattr(SimulatedGateway, "dial_extension", dial)
    call = service.queue("99", "10", to_extension="w12")

    serve(Engine("test", speed=SPEED), until=ended(call))

    call.refresh_from_db()
    assert sent == [("B", "w12")]
    assert (call.status, call.hangup_cause) == (8, "normal")


def test_without_an_extension_nothing_is_sent(service: Service, monkeypatch: Any) -> None:
    monkeypatch.delattr(SimulatedGateway, "dial_extension")
    call = service.queue("99", "10")

    serve(Engine("test", speed=SPEED), until=ended(call))

    call.refresh_from_db()
    assert call.status == 8
