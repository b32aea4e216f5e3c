"""With real brokers, workers and HTTP: nobody is rung twice, even if tasks are delivered twice or
lost, or workers are killed.

Uses the broker of `CELERY_BROKER_URL`, or the Redis of this machine.
"""

from __future__ import annotations

import collections
import contextlib
import http.server
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from celery import Celery
from django.db import connection
from django.utils import timezone

from django_poketalk.calls import placing, task_publisher
from django_poketalk.models import CallRequest, Placement
from tests.celery import app as tests_app
from tests.conftest import Times

NewCall = Callable[..., CallRequest]

BROKER = os.environ.get("CELERY_BROKER_URL") or "redis://127.0.0.1:6379/7"

pytestmark = [
    pytest.mark.broker,
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("rabbitmq" if BROKER.startswith("amqp") else "redis"),
]
DEADLINE = 60  # seconds for a worker to do its work on a busy machine


@pytest.fixture(autouse=True)
def woken() -> None:
    """Publish tasks to the broker, unlike in other tests."""


class Service(http.server.ThreadingHTTPServer):
    """Counts how often each call was asked for, and takes `delay` seconds to accept it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: collections.Counter[str] = collections.Counter()
        self.delay = 0.0
        self.requested_one = threading.Event()

    def handle_error(self, *args: Any) -> None:
        """Do not report a worker that was killed while it waited for its answer."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests[parse_qs(body.decode())["custom"][0]] += 1
        self.server.requested_one.set()
        time.sleep(self.server.delay)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"00")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Redis:
    """A separate Redis on a free port, which tests can kill and restart."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*["redis-server", "--bind", "127.0.0.1", "--save"], "", "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


@pytest.fixture
def own_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)  # which Celery prefers to all else
    server = Redis()
    yield server
    server.kill()


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[Celery]:
    """A Celery app with a real broker and its own queue, in place of that of the tests."""
    own = "own_redis" in request.fixturenames
    app = Celery("broker-tests", broker=request.getfixturevalue("own_redis").url if own else BROKER)
    app.conf.task_default_queue = f"poketalk-{uuid.uuid4().hex}"
    app.set_default()
    app.set_current()
    yield app
    with app.connection_for_write() as connection_to_broker:
        connection_to_broker.default_channel.queue_delete(app.conf.task_default_queue)
    app.close()
    tests_app.set_default()
    tests_app.set_current()


@pytest.fixture
def start_worker(
    broker: Celery, service: Service
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start Celery workers with this test's database, queue and service. They stop afterwards."""
    workers: list[subprocess.Popen[bytes]] = []
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
        "WORKER_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "WORKER_SERVICE_URL": f"http://127.0.0.1:{service.server_port}/",
        "WORKER_BROKER_URL": broker.conf.broker_url,
    }
    command = ["worker", "--concurrency=2", "--loglevel=WARNING", "--without-gossip"]
    queue = ["--queues", broker.conf.task_default_queue, "--without-mingle"]

    def name() -> tuple[str, str]:
        """RabbitMQ rejects a worker with the name of another one, even on another queue."""
        return "--hostname", f"{uuid.uuid4().hex}@%h"

    def start() -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tests.celery", *command, *queue, *name()],
            cwd=Path(__file__).parents[3],
            env=environment,
            start_new_session=True,
        )
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        _kill(worker)


def _kill(worker: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to the worker and its children, as when a machine fails."""
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def wait_until(
    condition: Callable[[], bool], every: float = 0.05, within: float = DEADLINE
) -> None:
    for _ in range(int(within / every)):
        if condition():
            return
        time.sleep(every)
    pytest.fail(f"not within {within} s")


def waiting_tasks(broker: Celery) -> int:
    with broker.connection_for_read() as connection_to_broker:
        queue = broker.conf.task_default_queue
        try:
            declared = connection_to_broker.default_channel.queue_declare(queue, passive=True)
        except connection_to_broker.channel_errors:  # Redis forgets a queue that is empty
            return 0
        return int(declared.message_count)


def placements() -> collections.Counter[str]:
    return collections.Counter(CallRequest.objects.values_list("placement", flat=True))


def nothing_waits() -> bool:
    """Whether no call is waiting after a sweep five seconds from now."""
    placing.sweep(timezone.now() + placing.GRACE)
    undecided = (Placement.QUEUED, Placement.SENDING)
    return not CallRequest.objects.filter(placement__in=undecided).exists()


def test_each_call_is_sent_once_if_tasks_are_delivered_many_times(
    start_worker: Callable[[], Any],
    broker: Celery,
    service: Service,
    new_call: NewCall,
    times: Times,
) -> None:
    calls = [new_call() for _ in range(20)]
    for call in calls * times(5, full=500):
        broker.send_task(task_publisher.PLACE_CALL, (call.pk,))

    workers = [start_worker(), start_worker()]
    wait_until(
        lambda: placements() == {Placement.ACCEPTED: 20} and not waiting_tasks(broker),
        within=DEADLINE * times(1, full=60),
    )
    for worker in workers:
        worker.terminate()  # what it has begun, it finishes
        worker.wait(DEADLINE)

    assert service.requests == {call.webcallid: 1 for call in calls}


def test_a_call_whose_worker_is_killed_while_sending_is_unknown_and_not_sent_again(
    start_worker: Callable[[], Any], broker: Celery, service: Service, new_call: NewCall
) -> None:
    service.delay = 5
    call = new_call()
    worker = start_worker()
    assert service.requested_one.wait(DEADLINE)

    _kill(worker)
    CallRequest.objects.filter(pk=call.pk).update(sent_at=timezone.now() - timedelta(minutes=1))
    swept = placing.sweep()
    start_worker()
    broker.send_task(task_publisher.PLACE_CALL, (call.pk,))
    witness = new_call()
    wait_until(lambda: service.requests[witness.webcallid] == 1)

    assert swept.unknown == 1
    assert CallRequest.objects.get(pk=call.pk).placement == Placement.UNKNOWN
    assert service.requests[call.webcallid] == 1


def test_workers_killed_at_any_moment_neither_repeat_nor_lose_calls(
    start_worker: Callable[[], Any],
    broker: Celery,
    service: Service,
    new_call: NewCall,
    times: Times,
) -> None:
    chance = random.Random(9)
    service.delay = 0.05
    for _ in range(times(2, full=500)):
        calls = {new_call().webcallid for _ in range(8)}
        worker = start_worker()
        wait_until(lambda calls=calls: not calls.isdisjoint(service.requests))
        time.sleep(chance.uniform(0, 0.3))
        _kill(worker)
        CallRequest.objects.filter(placement=Placement.SENDING).update(
            sent_at=timezone.now() - timedelta(minutes=1)
        )
        placing.sweep()
    start_worker()
    wait_until(nothing_waits, every=1)

    assert set(placements()) <= {Placement.ACCEPTED, Placement.UNKNOWN, Placement.EXPIRED}
    assert set(service.requests.values()) == {1}
    for call in CallRequest.objects.exclude(placement=Placement.UNKNOWN):
        assert service.requests[call.webcallid] == (call.placement == Placement.ACCEPTED)


def test_the_sweep_wakes_a_call_whose_task_was_lost(
    start_worker: Callable[[], Any],
    service: Service,
    new_call: NewCall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(task_publisher, "wake", lambda pk, delay=0: None)
    call = new_call()
    monkeypatch.undo()
    start_worker()

    placing.sweep(timezone.now() + placing.GRACE)

    wait_until(lambda: placements() == {Placement.ACCEPTED: 1})
    assert service.requests == {call.webcallid: 1}


def test_an_unavailable_broker_does_not_block_requests(
    broker: Celery, new_call: NewCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = threading.Event()
    monkeypatch.setattr(broker, "send_task", lambda *args, **options: frozen.wait(DEADLINE))

    started = time.monotonic()
    calls = [new_call() for _ in range(10)]
    took = time.monotonic() - started
    frozen.set()

    assert took < DEADLINE / 2
    assert placements() == {Placement.QUEUED: len(calls)}


@pytest.mark.needs("redis-server")
def test_no_call_is_lost_when_the_broker_is_restarted(
    own_redis: Redis,
    broker: Celery,
    start_worker: Callable[[], Any],
    service: Service,
    new_call: NewCall,
    times: Times,
) -> None:
    """The broker has no persistent storage."""
    calls = []
    for _ in range(times(3, full=50)):
        own_redis.start()
        calls.append(new_call())
        wait_until(lambda: waiting_tasks(broker) > 0)
        own_redis.kill()
        calls.append(new_call())
    CallRequest.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    own_redis.start()
    start_worker()
    wait_until(nothing_waits, every=1)

    assert placements() == {Placement.ACCEPTED: len(calls)}
    assert service.requests == {call.webcallid: 1 for call in calls}
