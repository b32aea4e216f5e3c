"""A SIP port measures how long its messages wait, so that a switch that falls behind claims no
new calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.gateways.sip import receive_delay, thread
from django_poketalk.server.switch.gateways.sip.gateway import SipGateway
from django_poketalk.server.switch.gateways.sip.receive_delay import LOST, ReceiveDelay
from django_poketalk.server.switch.ownership.intake import MAX_DELAY

from .conftest import SipService


class Port:
    """A port that drops datagrams or delivers them later, at a time that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.sent: list[bytes] = []
        monkeypatch.setattr(receive_delay.time, "monotonic", lambda: self.now)
        self.delay = ReceiveDelay(self.sent.append)

    def deliver(self, after: float) -> None:
        self.delay.probe()
        self.now += after
        assert self.delay.take(self.sent[-1])


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Port:
    return Port(monkeypatch)


def test_the_delay_is_the_time_until_the_probe_is_read(port: Port) -> None:
    port.deliver(after=0.25)
    assert port.delay.seconds == 0.25
    port.deliver(after=0.01)
    assert port.delay.seconds == pytest.approx(0.01)


def test_a_probe_on_its_way_counts_as_it_waits(port: Port) -> None:
    port.deliver(after=0.25)
    port.delay.probe()
    port.now += 0.1
    assert port.delay.seconds == 0.25
    port.now += 1.9
    port.delay.probe()
    assert len(port.sent) == 2  # one at a time
    assert port.delay.seconds == pytest.approx(2.0)


def test_a_lost_probe_means_a_full_buffer_until_another_arrives(port: Port) -> None:
    port.deliver(after=0.25)
    port.delay.probe()
    port.now += LOST
    port.delay.probe()
    assert port.delay.seconds == LOST
    assert not port.delay.take(port.sent[-2])
    assert port.delay.take(port.sent[-1])
    assert port.delay.seconds == 0.0


def test_other_datagrams_are_no_probes(port: Port) -> None:
    assert not port.delay.take(b"")
    port.deliver(after=0.25)
    assert not port.delay.take(port.sent[-1])
    assert not port.delay.take(b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n\r\n")


def test_a_host_that_drops_all_probes_is_not_late(port: Port) -> None:
    for _ in range(3):
        port.delay.probe()
        port.now += LOST
    assert port.delay.seconds == 0.0


@pytest.mark.needs("sippy")
@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sippy's sockets
def test_a_port_whose_thread_is_busy_is_late_until_it_has_caught_up(service: SipService) -> None:
    service.gateway("441", 9)

    async def reaches(gateway: SipGateway, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                gateway.watch([])
                await asyncio.sleep(0.02)

    async def scenario() -> None:
        gateway: Any = SipGateway(Clock(), lambda *_: None)
        await gateway.open()
        stack = await gateway._open_stack()
        try:
            await reaches(gateway, lambda: stack._delay._last is not None)
            thread.call_soon(time.sleep, 1.5)
            await reaches(gateway, lambda: gateway.delay > MAX_DELAY)
            await reaches(gateway, lambda: gateway.delay < MAX_DELAY)
        finally:
            await gateway.close()

    asyncio.run(scenario())
