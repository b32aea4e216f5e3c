"""The HTTP server for monitors: health and metrics of a switch."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import socket
import time
from datetime import UTC, datetime
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
from django_poketalk.server.switch.monitoring.gateway_states import GatewayView
from django_poketalk.server.switch.monitoring.http import read_address
from django_poketalk.server.switch.monitoring.stats import Stats
from django_poketalk.server.switch.monitoring.watchdog import Watchdog

from ..conftest import SPEED, Service, ended, eventually, number, serving
from ..customer import Customer

pytestmark = pytest.mark.django_db(transaction=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def fetch(port: int, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


def watch(switch: Engine, calls: Any, during: Any) -> None:
    """Serve until the calls have ended, with a monitoring server. `during` gets its port."""
    port = free_port()

    async def run() -> None:
        async with http.serve_monitoring(switch.snapshot, f"127.0.0.1:{port}"):
            await serving(switch, until=calls, during=lambda: during(port))

    asyncio.run(run())


def test_a_serving_switch_is_healthy_and_publishes_metrics(service: Service) -> None:
    found: dict[str, Any] = {}
    with Customer() as customer:
        service.queue(b="01", eventurl=customer.eventurl)

        async def check(port: int) -> None:
            await eventually(ended())
            found["health"] = await fetch(port, "/readyz")
            found["metrics"] = await fetch(port, "/metrics")

        watch(Engine("test", SPEED), ended(), check)
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


def test_metric_labels_have_only_known_values(service: Service) -> None:
    found: dict[str, str] = {}
    for ending in ("01", "02", "03", "05", "20"):
        service.queue(a=ending, b="06", max_duration=60)

    async def check(port: int) -> None:
        await eventually(ended())
        _status, found["metrics"] = await fetch(port, "/metrics")

    watch(Engine("test", SPEED), ended(), check)
    labels = set(re.findall(r'(\w+)="([^"]*)"', found["metrics"]))
    known = {
        "leg": {"A", "B"},
        "cause": set(Cause),
        "status": {"2", "4", "6", "8"},
        "answer": {"2xx", "3xx", "412", "4xx", "5xx", "none"},
        "state": set(snapshot.State),
        "provider": {"Carrier"},
        "gateway": {"Phones"},
    }
    assert {name for name, _value in labels} <= {*known, "le"}
    assert all(name == "le" or value in known[name] for name, value in labels)


def test_a_draining_switch_is_alive_and_not_ready(service: Service) -> None:
    found: dict[str, Any] = {}
    call = service.queue()
    switch = Engine("test", SPEED, drain=60)

    async def check(port: int) -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        switch.stop()
        found["health"] = await fetch(port, "/readyz")
        found["live"] = await fetch(port, "/livez")
        switch.stop()
        found["ending"] = switch.state

    port = free_port()

    async def run() -> None:
        async with http.serve_monitoring(switch.snapshot, f"127.0.0.1:{port}"):
            running = asyncio.create_task(switch.run())
            await check(port)
            await running

    asyncio.run(run())
    status, health = found["health"]
    assert status == 503
    assert '"problems": ["draining"]' in health
    assert found["live"] == (200, '{"state": "draining"}')
    assert found["ending"] == "ending"
    call.refresh_from_db()
    assert call.hangup_cause == "switch_stopped"


def snapshot_with(**facts: Any) -> snapshot.Snapshot:
    now = snapshot.Snapshot(snapshot.State.SERVING, 0, 9.0, True, 0, [], Stats(), [])
    return dataclasses.replace(now, **facts)


def gateway(kind: str, problem: str = "") -> GatewayView:
    return GatewayView(1, "", "", datetime(2026, 1, 1, tzinfo=UTC), problem, kind=kind)


@pytest.mark.parametrize(
    ("facts", "problems"),
    [
        ({}, []),
        ({"database_seen": snapshot.DATABASE_TIMEOUT - 1}, []),
        ({"database_seen": snapshot.DATABASE_TIMEOUT + 1}, ["database"]),
        ({"gateways": [gateway("asterisk", "HTTP 401")]}, ["down:asterisk"]),
        ({"gateways": [gateway("sip", "busy"), gateway("sip")]}, []),
        ({"gateways": [gateway("sip", "busy"), gateway("simulated")]}, ["down:sip"]),
    ],
)
def test_a_switch_that_cannot_work_is_not_ready(facts: Any, problems: list[str]) -> None:
    assert snapshot_with(**facts).problems == problems


@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_lapsed_lease_and_an_unavailable_database_are_reported(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    from_the_start: bool,
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 2}  # also limits retries
    monkeypatch.setattr(watchdog, "SLOW", 0.2)
    monkeypatch.setattr(engine, "BEAT", 0.1)
    found: dict[str, Any] = {}
    switch = Engine("test", SPEED)

    def unavailable(*args: object) -> None:
        raise OperationalError("the database is unavailable")

    if from_the_start:
        monkeypatch.setattr(heartbeat, "beat", unavailable)

    async def check(port: int) -> None:
        async with asyncio.timeout(30):
            while (answer := await fetch(port, "/readyz"))[0] != 200:
                await asyncio.sleep(0.01)  # until it serves
            monkeypatch.setattr(heartbeat, "beat", unavailable)
            while "stuck:beat" not in (answer := await fetch(port, "/readyz"))[1]:
                await asyncio.sleep(0.05)
        found["unavailable"] = answer
        switch.lease._until = time.monotonic() - 1
        found["lapsed"] = await fetch(port, "/readyz")

    watch(switch, lambda: True, check)
    assert found["unavailable"][0] == 503
    assert found["lapsed"][0] == 503
    assert "lease_lapsed" in found["lapsed"][1]


def test_metrics_without_prometheus_client_name_the_extra_to_install(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "find_spec", lambda name: None)
    found: dict[str, Any] = {}

    async def check(port: int) -> None:
        found["metrics"] = await fetch(port, "/metrics")

    watch(Engine("test", SPEED), lambda: True, check)
    assert found["metrics"][0] == 501
    assert "django-poketalk[metrics]" in found["metrics"][1]


def test_an_ended_loop_is_not_late() -> None:
    loops = Watchdog()
    loops.record("take", -100)
    loops.record("beat", 100)
    assert loops.late == ["take"]
    loops.remove("take")
    assert loops.late == []


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:9180", ("127.0.0.1", 9180)), ("[::1]:9180", ("::1", 9180))],
)
def test_an_address_is_parsed(text: str, address: tuple[str, int]) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize("text", ["9180", "127.0.0.1", "127.0.0.1:", "a@b:1", "h:99999", "h:1/x"])
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--health"):
        call_command("poketalk_switch", f"--health={text}")


def test_an_address_in_use_is_a_command_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"HEALTH_ADDRESS, 127.0.0.1:{port}: .*in use"):
            call_command("poketalk_switch", f"--health=127.0.0.1:{port}")
