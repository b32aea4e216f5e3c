"""What a switch tells monitors: whether it serves, and its numbers."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from typing import Any

import aiohttp
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from django_poketalk.server.models import Call
from django_poketalk.server.switch import engine
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.machine.facts_and_commands import Cause
from django_poketalk.server.switch.monitoring import heartbeat, http, snapshot, watchdog
from django_poketalk.server.switch.monitoring.http import read_address
from django_poketalk.server.switch.monitoring.watchdog import Watchdog

from ..conftest import SPEED, Service, ended, eventually, number, serving
from ..customer import Customer

pytestmark = pytest.mark.django_db(transaction=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def ask(port: int, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


def watch(switch: Engine, calls: Any, during: Any) -> None:
    """Serve until the calls are over, monitored, with `during` asked by port."""
    port = free_port()

    async def run() -> None:
        async with http.serve_monitoring(switch.snapshot, f"127.0.0.1:{port}"):
            await serving(switch, until=calls, during=lambda: during(port))

    asyncio.run(run())


def test_a_switch_that_serves_is_well_and_tells_its_numbers(service: Service) -> None:
    found: dict[str, Any] = {}
    with Customer() as customer:
        service.queue(b="01", eventurl=customer.eventurl)

        async def look(port: int) -> None:
            await eventually(ended())
            found["health"] = await ask(port, "/healthz")
            found["metrics"] = await ask(port, "/metrics")

        watch(Engine("test", SPEED), ended(), look)
    status, health = found["health"]
    assert status == 200
    assert '"state": "serving"' in health
    status, text = found["metrics"]
    assert status == 200
    numbers = dict(re.findall(r"^(poketalk_switch_\S+) (\S+)$", text, re.MULTILINE))
    assert numbers["poketalk_switch_claims_total"] == "1.0"
    assert numbers['poketalk_switch_setups_total{leg="A"}'] == "1.0"
    assert numbers['poketalk_switch_ended_total{cause="busy",status="6"}'] == "1.0"
    assert numbers['poketalk_switch_events_total{answer="2xx"}'] == "4.0"
    for histogram in ("queue_wait", "event_lag", "event_delivery", "write"):
        assert float(numbers[f"poketalk_switch_{histogram}_seconds_count"]) >= 1
        assert f'poketalk_switch_{histogram}_seconds_bucket{{le="+Inf"}}' in numbers
    assert number("01")[-7:] not in text + health


def test_no_label_has_more_values_than_the_code_knows(service: Service) -> None:
    found: dict[str, str] = {}
    for ending in ("01", "02", "03", "05", "20"):
        service.queue(a=ending, b="06", max_duration=60)

    async def look(port: int) -> None:
        await eventually(ended())
        _status, found["metrics"] = await ask(port, "/metrics")

    watch(Engine("test", SPEED), ended(), look)
    labels = set(re.findall(r'(\w+)="([^"]*)"', found["metrics"]))
    known = {
        "leg": {"A", "B"},
        "cause": set(Cause),
        "status": {"2", "4", "6", "8"},
        "answer": {"2xx", "3xx", "412", "4xx", "5xx", "none"},
        "state": set(snapshot.State),
    }
    assert {name for name, _value in labels} <= {*known, "le"}
    assert all(name == "le" or value in known[name] for name, value in labels)


def test_a_switch_that_drains_is_not_to_be_sent_calls(service: Service) -> None:
    found: dict[str, Any] = {}
    call = service.queue()
    switch = Engine("test", SPEED, drain=60)

    async def look(port: int) -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        switch.stop()
        found["health"] = await ask(port, "/healthz")
        switch.stop()
        found["ending"] = switch.state

    port = free_port()

    async def run() -> None:
        async with http.serve_monitoring(switch.snapshot, f"127.0.0.1:{port}"):
            running = asyncio.create_task(switch.run())
            await look(port)
            await running

    asyncio.run(run())
    status, health = found["health"]
    assert status == 503
    assert '"problems": ["draining"]' in health
    assert found["ending"] == "ending"
    call.refresh_from_db()
    assert call.hangup_cause == "switch_stopped"


@pytest.mark.parametrize("from_the_beginning", [True, False])
def test_a_lapsed_lease_and_a_database_that_is_away_are_told(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    from_the_beginning: bool,
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 2}  # it is patient for so long
    monkeypatch.setattr(watchdog, "SLOW", 0.2)
    monkeypatch.setattr(engine, "BEAT", 0.1)
    found: dict[str, Any] = {}
    switch = Engine("test", SPEED)

    def away(*args: object) -> None:
        raise OperationalError("the database is away")

    if from_the_beginning:
        monkeypatch.setattr(heartbeat, "beat", away)

    async def look(port: int) -> None:
        async with asyncio.timeout(30):
            while (answer := await ask(port, "/healthz"))[0] != 200:
                await asyncio.sleep(0.01)  # it begins
            monkeypatch.setattr(heartbeat, "beat", away)
            while (answer := await ask(port, "/healthz"))[0] == 200:
                await asyncio.sleep(0.05)
        found["away"] = answer
        switch.lease._until = time.monotonic() - 1
        found["lapsed"] = await ask(port, "/healthz")

    watch(switch, lambda: True, look)
    assert found["away"][0] == 503
    assert "stuck:beat" in found["away"][1]
    assert found["lapsed"][0] == 503
    assert "lease_lapsed" in found["lapsed"][1]


def test_without_prometheus_client_it_says_what_to_install(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "find_spec", lambda name: None)
    found: dict[str, Any] = {}

    async def look(port: int) -> None:
        found["metrics"] = await ask(port, "/metrics")

    watch(Engine("test", SPEED), lambda: True, look)
    assert found["metrics"][0] == 501
    assert "django-poketalk[metrics]" in found["metrics"][1]


def test_a_loop_that_is_over_is_not_missed() -> None:
    seen = Watchdog()
    seen.record("take", -100)
    seen.record("beat", 100)
    assert seen.late == ["take"]
    seen.remove("take")
    assert seen.late == []


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:9180", ("127.0.0.1", 9180)), ("[::1]:9180", ("::1", 9180))],
)
def test_an_address_is_read(text: str, address: tuple[str, int]) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize("text", ["9180", "127.0.0.1", "127.0.0.1:", "a@b:1", "h:99999", "h:1/x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--health"):
        call_command("poketalk_switch", f"--health={text}")


def test_an_address_that_cannot_be_had_is_told_without_a_traceback() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"HEALTH_ADDRESS, 127.0.0.1:{port}: .*in use"):
            call_command("poketalk_switch", f"--health=127.0.0.1:{port}")
