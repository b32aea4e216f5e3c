"""A switch without its SIP port says so."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_poketalk.server.models import Gateway
from django_poketalk.server.switch import engine as engine_module
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.sip import port

from ...conftest import Service, serving


@pytest.fixture
def taken(settings: Any, service: Service) -> Iterator[socket.socket]:
    """A port that another process uses, as SIP_PORT of a service with a SIP gateway."""
    Gateway.objects.create(
        provider=service.provider, name="Trunk", kind="sip", host="127.0.0.1", port=9
    )
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as sippy's
        other.bind(("127.0.0.1", 0))
        settings.POKETALK_SERVER = {
            **settings.POKETALK_SERVER,
            "SIP_ADDRESS": "127.0.0.1",
            "SIP_PORT": other.getsockname()[1],
        }
        yield other


@pytest.fixture
def serves(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the command has got as far as to serve."""
    served: list[bool] = []

    def run(serving: Any) -> None:
        serving.close()
        served.append(True)

    monkeypatch.setattr(asyncio, "run", run)
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr("gc.set_threshold", lambda *thresholds: None)
    return served


def test_the_switch_refuses_to_start_without_its_port(
    taken: socket.socket, serves: list[bool]
) -> None:
    number = taken.getsockname()[1]
    with pytest.raises(CommandError, match=f"SIP port {number} of 127.0.0.1: Address already in u"):
        call_command("poketalk_switch")
    assert CommandError("").returncode == 1
    assert serves == []
    taken.close()
    call_command("poketalk_switch")
    assert serves == [True]


def test_a_switch_without_sip_gateways_needs_no_port(
    taken: socket.socket, serves: list[bool]
) -> None:
    Gateway.objects.filter(kind="sip").update(is_active=False)
    call_command("poketalk_switch")
    assert serves == [True]


@pytest.mark.needs("sippy")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sippy's sockets
def test_a_switch_that_loses_its_port_is_not_ready_and_recovers(
    taken: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway was activated while the switch ran, so the start could not refuse."""
    monkeypatch.setattr(engine_module, "WATCH", 0.05)
    switch = Engine("test")

    async def until(is_down: bool) -> None:
        async with asyncio.timeout(30):
            while ("down:sip" in switch.snapshot().problems) is not is_down:
                await asyncio.sleep(0.02)

    async def lose_and_recover() -> None:
        await until(is_down=True)
        [trunk] = [each for each in switch.snapshot().gateways if each.kind == "sip"]
        assert "Address already in use" in trunk.problem
        taken.close()
        await until(is_down=False)

    asyncio.run(serving(switch, until=lambda: True, during=lose_and_recover))


def test_the_port_of_any_address_can_be_checked(taken: socket.socket, settings: Any) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        port.check_port()
    taken.close()
    port.check_port()
