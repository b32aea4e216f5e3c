"""Publishing tasks without waiting for the broker."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_poketalk.calls import task_publisher
from django_poketalk.models import CallRequest, Placement
from tests.celery import app as tests_app

from .test_placing import NewCall


@pytest.fixture(autouse=True)
def woken() -> None:
    """Use the real publisher, unlike other tests."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tasks that reach the broker, and an event to wait for the first one."""
    arrived = threading.Event()
    messages: list[tuple[Any, ...]] = []

    def send_task(name: str, args: tuple[int], **options: Any) -> None:
        messages.append((name, args, options))
        arrived.set()

    monkeypatch.setattr(tests_app, "send_task", send_task)
    return messages, arrived


def test_the_placing_task_is_sent_without_celerys_own_retries(sent: Any) -> None:
    messages, arrived = sent

    task_publisher.wake(7, 2)

    assert arrived.wait(10)
    assert messages == [("poketalk.place_call", (7,), {"countdown": 2, "retry": False})]


def test_a_failing_broker_is_logged_and_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: Any
) -> None:
    messages, arrived = sent
    take = tests_app.send_task
    refused = threading.Event()

    def refuse(*args: Any, **options: Any) -> None:
        refused.set()
        raise ConnectionRefusedError("no broker")

    monkeypatch.setattr(tests_app, "send_task", refuse)
    task_publisher.wake(7)
    assert refused.wait(10)
    monkeypatch.setattr(tests_app, "send_task", take)
    task_publisher.wake(8)

    assert arrived.wait(10)
    assert [args for _, args, _ in messages] == [(8,)]
    assert "no broker" in caplog.text


@pytest.fixture
def _eager() -> Iterator[None]:
    tests_app.set_current()  # an app that another test imported may be
    tests_app.conf.task_always_eager = True
    yield
    tests_app.conf.task_always_eager = False


@pytest.mark.usefixtures("_eager")
def test_eager_tasks_place_the_call_at_once(new_call: NewCall) -> None:
    call = new_call()

    task_publisher.wake(call.pk)

    assert CallRequest.objects.get(pk=call.pk).placement == Placement.ACCEPTED


@pytest.mark.programs
@pytest.mark.parametrize("forks", [False, True], ids=["alone", "with a fork"])
def test_a_process_publishes_its_tasks_before_it_exits(tmp_path: Path, forks: bool) -> None:
    data = tmp_path / "told"
    script = textwrap.dedent(f"""
        import os, sys, time
        import django
        django.setup()
        from tests.celery import app
        from django_poketalk.calls import task_publisher

        def send_slowly(name, args, **options):
            time.sleep(0.3)
            with open({str(data)!r}, "a") as file:
                print(args[0], file=file)

        app.send_task = send_slowly
        task_publisher.wake(1)
        task_publisher.wake(2)
        if {forks} and os.fork() == 0:
            sys.exit()
        {"os.wait()" if forks else ""}
    """)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=Path(__file__).parents[3],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert data.read_text().split() == ["1", "2"]
