"""Log records of both halves have the id of their call, its service and the step, also as JSON."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from django_poketalk.backends import locmem
from django_poketalk.calls import placing, requesting
from django_poketalk.events import tokens
from django_poketalk.models import CallRequest, ManualResolution
from django_poketalk.server.models import Account, Call
from django_poketalk.server.switch.recovery import recovery
from django_poketalk.shared import logs
from tests.caller.conftest import CALLEE, CALLER
from tests.server.conftest import Customer, make_customer

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "production.md"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The records of both halves, written by the formatter of the page about production."""
    [source] = re.findall(
        r"```python\n(import json\nimport logging.*?)```", PAGE.read_text(), re.DOTALL
    )
    names: dict[str, Any] = {}
    exec(source, names)
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(names["JSONFormatter"]())
    ours = logging.getLogger("django_poketalk")
    before = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in output.getvalue().splitlines()]
    ours.removeHandler(handler)
    ours.setLevel(before)


@pytest.fixture
def call(db: None, monkeypatch: pytest.MonkeyPatch) -> CallRequest:
    monkeypatch.setattr("django_poketalk.calls.task_publisher.wake", lambda pk, delay=0: None)
    locmem.reset()
    return requesting.request_call(from_number=CALLER, to_number=CALLEE)


def fields(line: dict[str, Any]) -> tuple[Any, Any, Any]:
    return line["call_id"], line["call_service"], line["call_step"]


def test_placing_a_call_names_call_service_and_step(call: CallRequest, lines: Lines) -> None:
    locmem.answers.append(RuntimeError("The backend is broken."))

    placing.place(call.pk)

    [line] = lines()
    assert fields(line) == (call.pk, "default", "place")
    assert (line["level"], line["logger"]) == ("ERROR", "django_poketalk.calls.placing")
    assert "RuntimeError: The backend is broken." in line["message"]


def test_an_event_names_its_call_in_the_view_and_in_the_rules(
    call: CallRequest, lines: Lines
) -> None:
    CallRequest.objects.update(max_duration=60)
    token = tokens.make(tokens.Limits(call.pk, 60, None))

    Client().get(f"/poketalk/events/{token}/", {"status": "3", "duration": "61"})
    Client().get(f"/poketalk/events/{token}/", {"status": "nine"})

    ended, odd = lines()
    assert fields(ended) == (call.pk, None, "event")
    assert f"Ending call {call.pk}" in ended["message"]
    assert fields(odd) == (call.pk, None, "event")


def test_resolving_a_call_is_a_step(call: CallRequest, lines: Lines) -> None:
    CallRequest.objects.update(placement="unknown")
    call.refresh_from_db()

    requesting.resolve(call, ManualResolution.NEVER_RANG)

    assert [fields(line) for line in lines()] == [(call.pk, "default", "resolve")]


@pytest.mark.django_db
def test_admission_and_recovery_are_steps_of_the_service(lines: Lines) -> None:
    customer: Customer = make_customer()
    assert customer.request_call(custom="web1") == "00"
    served = Call.objects.get()
    Call.objects.update(state="active", switch="gone", lease_until="2020-01-01T00:00Z")
    Account.objects.update(max_live_calls=1)
    customer.request_call(custom="web2")

    recovery.recover("office", 5)

    refused, *recovered = lines()
    assert fields(refused) == (None, None, "admit")
    assert {fields(line) for line in recovered} == {(served.pk, None, "recover")}


def test_tasks_inherit_their_call_and_others_do_not() -> None:
    seen: list[Any] = []

    class Remember(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), record.call_id, record.call_step))  # type: ignore[attr-defined]

    logger = logs.get_logger("django_poketalk.tests.fields")
    logger.addHandler(Remember())

    async def talk(name: str) -> None:
        await asyncio.sleep(0.01)
        logger.warning(name)

    async def both() -> None:
        with logs.about_call(7, "serve"):
            seven = asyncio.create_task(talk("seven"))
        with logs.about_call(8, "serve"):
            eight = asyncio.create_task(talk("eight"))
        nobody = asyncio.create_task(talk("nobody"))
        await asyncio.gather(seven, eight, nobody)

    asyncio.run(both())

    assert sorted(seen) == [("eight", 8, "serve"), ("nobody", None, None), ("seven", 7, "serve")]


def test_inner_blocks_add_to_outer_ones_and_extra_wins() -> None:
    record = logging.makeLogRecord({"call_step": "given"})

    with logs.about_call(7, "event"), logs.about_call(None, "look_up", "acme"):
        assert logs.CallFields().filter(record)
        other = logging.makeLogRecord({})
        logs.CallFields().filter(other)

    assert (record.call_id, record.call_step) == (7, "given")  # type: ignore[attr-defined]
    assert vars(other)["call_step"] == "look_up"
    assert (vars(other)["call_id"], vars(other)["call_service"]) == (7, "acme")


def test_every_step_is_documented() -> None:
    package = Path(logs.__file__).parents[1]
    sources = "".join(path.read_text() for path in package.rglob("*.py"))
    steps = set(re.findall(r'about_call\([^)"]*"(\w+)"', sources)) | {"serve"}
    row = re.findall(r"^\| `call_step` \| (.+) \|$", PAGE.read_text(), re.MULTILINE)[0]

    assert len(steps) > 8
    assert steps == set(re.findall(r"`(\w+)`", row))
