"""The doctor says whether calls leave the queue, and why not: broker, worker, beat or sweep."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery, signals
from celery.contrib.testing.worker import start_worker
from django.utils import timezone
from kombu import Connection

from django_poketalk.calls import placing
from django_poketalk.doctor.people import check_permissions
from django_poketalk.doctor.workers import check_broker, check_sweep, check_worker
from django_poketalk.models import CallRequest, Heartbeat
from django_poketalk.shared.doctor import Options
from tests.caller.people import someone
from tests.celery import app

from .conftest import BRIEF, of

NONE = "No worker answers at this broker, so calls wait."


@contextlib.contextmanager
def worker(celery: Celery = app, **options: Any) -> Iterator[None]:
    """A worker in a thread of this process, which ends with the block. It leaves the process's
    logging as it is.
    """
    signals.setup_logging.connect(_keep_logging)
    try:
        with start_worker(
            celery,
            pool="solo",
            perform_ping_check=False,
            shutdown_timeout=30,
            **options,
        ):
            yield
    finally:
        signals.setup_logging.disconnect(_keep_logging)


def _keep_logging(**kwargs: Any) -> None:
    """Celery only sets up logging if nobody else does."""


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[None]:
    """The broker of the tests, empty before and after."""
    app.control.purge()
    yield
    app.control.purge()


def far(seconds: float) -> Options:
    return Options(seconds=seconds)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broker")
def test_a_worker_runs_a_task_of_ours() -> None:
    with worker():
        [(level, text)] = of(check_worker(far(20)))

    assert level == "ok"
    assert "ran a task within" in text
    assert Heartbeat.objects.get(name=Heartbeat.WORKER).token


@pytest.mark.django_db
@pytest.mark.usefixtures("broker")
def test_without_a_worker_the_waiting_calls_are_counted(
    new_call: Callable[..., CallRequest],
) -> None:
    new_call()
    long_ago = timezone.now() - timedelta(seconds=40)
    CallRequest.objects.update(not_before=long_ago, rings_at=long_ago)
    began = time.monotonic()

    [(level, text), (second, waiting)] = of(check_worker(BRIEF))

    assert time.monotonic() - began < BRIEF.seconds + 1
    assert (level, text) == ("error", NONE)
    assert second == "warning"
    assert waiting.startswith("Calls that wait for a worker: 1, the first since 4")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("tasks", "queues", "words"),
    [
        ({"w@a": ["crm.mail"]}, {}, "w@a runs, but does not have our tasks."),
        (
            {"w@a": ["poketalk.place_call"], "w@b": []},
            {"w@a": [{"name": "mail"}]},
            "w@a runs, but does not consume the queue 'celery'.",
        ),
        (
            {"w@a": ["poketalk.place_call"]},
            {"w@a": [{"name": "celery"}]},
            "w@a runs, but did not run a task of ours in time",
        ),
    ],
)
def test_a_worker_that_does_not_run_our_tasks_is_explained(
    tasks: Any, queues: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Inspect:
        def registered(self) -> Any:
            return tasks

        def active_queues(self) -> Any:
            return queues

    monkeypatch.setattr(app.control, "inspect", lambda timeout: Inspect())
    monkeypatch.setattr(app, "send_task", lambda *arguments, **options: None)

    [(level, text)] = of(check_worker(far(1)))

    assert level == "error"
    assert words in text


@pytest.mark.django_db
def test_eager_tasks_need_no_broker_and_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.conf, "task_always_eager", True)

    assert [level for level, _ in of(check_worker(BRIEF))] == ["info"]
    assert [level for level, _ in of(check_broker(BRIEF))] == ["info"]


def test_a_broker_in_memory_is_only_for_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "connection_for_write", lambda **options: Connection("memory://"))

    [(level, text)] = of(check_broker(BRIEF))

    assert (level, "only for tests" in text) == ("warning", True)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_dead_broker_is_an_error_without_its_password(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"{scheme}://crm:s3cret@127.0.0.1:{port}/0"
    monkeypatch.setattr(app, "connection_for_write", lambda **options: Connection(url))
    began = time.monotonic()

    [(level, text)] = of(check_broker(BRIEF))

    assert time.monotonic() - began < 10
    assert level == "error"
    assert f"127.0.0.1:{port}" in text
    assert "does not answer" in text
    assert "s3cret" not in text


@pytest.mark.django_db
def test_the_sweep_reports_when_it_ran() -> None:
    assert of(check_sweep(BRIEF)) == [("error", "The sweep has never run.")]

    placing.sweep()
    [(level, text)] = of(check_sweep(BRIEF))
    assert (level, text) == ("ok", f"The last sweep was 0 s ago on {socket.gethostname()}.")

    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(hours=5))
    [(level, text)] = of(check_sweep(BRIEF))
    assert (level, text) == ("error", f"The last sweep was 5 hours ago on {socket.gethostname()}.")


@pytest.mark.django_db
def test_a_heartbeat_has_one_row() -> None:
    for token in ("a", "b"):
        Heartbeat.beat(Heartbeat.WORKER, "host", token)

    assert [(row.name, row.token) for row in Heartbeat.objects.all()] == [("worker", "b")]


@pytest.mark.django_db
def test_somebody_should_have_the_permission_to_place_calls() -> None:
    from django.contrib.auth import get_user_model

    assert of(check_permissions(BRIEF)) == [("warning", "No user may place calls.")]

    get_user_model().objects.create_superuser("root")
    assert of(check_permissions(BRIEF)) == [("warning", "Only superusers may place calls.")]

    someone("former", "place_call", is_active=False)
    assert [level for level, _ in of(check_permissions(BRIEF))] == ["warning"]
    someone("anna", "place_call")
    assert of(check_permissions(BRIEF)) == [("ok", "Users who may place calls: 1.")]
