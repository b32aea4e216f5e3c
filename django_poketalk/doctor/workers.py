"""Whether calls leave the queue: the broker, a worker that has our tasks, and beat or the sweep."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from celery import current_app
from django.utils import timezone

from ..calls.task_publisher import PLACE_CALL, REPORT
from ..models import CallRequest, Heartbeat
from ..shared.doctor.checking import Finding, Options, error, info, ok, warning

WAITS = timedelta(seconds=5)  # until a call that no worker has taken counts as waiting
SWEEP_LATE = timedelta(minutes=2)  # since the last sweep: cron runs it once a minute at most
LOOK_EVERY = 0.05  # seconds
START_BROKER = (
    "Start the broker, or correct CELERY_BROKER_URL. Calls wait until then, and expire after"
    " PLACE_WITHIN seconds."
)
START_WORKER = "Start one: celery -A <project> worker."


def check_broker(options: Options) -> Iterator[Finding]:
    """Whether the broker accepts connections."""
    celery = current_app
    if celery.conf.task_always_eager:
        yield info("Celery runs tasks at once (task_always_eager), without a broker.")
        return
    with celery.connection_for_write(connect_timeout=options.patience) as connection:
        address = connection.as_uri().replace("//:**@", "//")  # passwords are masked
        try:
            connection.ensure_connection(max_retries=1, timeout=int(options.patience) or 1)
        except Exception as failure:
            reason = " ".join(str(failure).split()) or type(failure).__name__
            yield error(
                f"{address} does not answer: {reason}",
                START_BROKER,
            )
            return
        if connection.transport.driver_type == "memory":
            yield warning(
                f"{address} is only for tests: no other process sees its messages.",
                "Set CELERY_BROKER_URL to Redis or RabbitMQ, for example.",
            )
        else:
            yield ok(f"{address} answers.")


def check_worker(options: Options) -> Iterator[Finding]:
    """Whether a worker runs one of our tasks. If not, why not."""
    if current_app.conf.task_always_eager:
        yield info("No worker is needed: Celery runs tasks at once (task_always_eager).")
        return
    until = time.monotonic() + options.patience
    asked_at = time.monotonic()
    token = secrets.token_hex(16)
    current_app.send_task(REPORT, (token,), expires=options.seconds, retry=False)
    half = asked_at + options.patience / 2
    if found := _answer(token, half):
        took = time.monotonic() - asked_at
        yield ok(f"{found.host or 'A worker'} ran a task within {took:.1f} s.")
    else:
        yield from _why_not(max(0.5, until - time.monotonic()))
    yield from _waiting_calls()


def _answer(token: str, until: float) -> Heartbeat | None:
    """The worker's heartbeat with this token, if there is one by then."""
    while True:
        found = Heartbeat.objects.filter(name=Heartbeat.WORKER, token=token).first()
        if found or time.monotonic() > until:
            return found
        time.sleep(LOOK_EVERY)


def _why_not(seconds: float) -> Iterator[Finding]:
    """Why no worker ran the task, from what all workers say about themselves."""
    queue = _queue()
    inspect = current_app.control.inspect(timeout=seconds / 2)
    tasks: dict[str, Any] = inspect.registered() or {}
    if not tasks:
        yield error("No worker answers at this broker, so calls wait.", START_WORKER)
        return
    able = [name for name, known in tasks.items() if any(PLACE_CALL in each for each in known)]
    if not able:
        yield error(
            f"{_names(tasks)} runs, but does not have our tasks.",
            "Call autodiscover_tasks() in your Celery app, and restart the worker.",
        )
        return
    queues: dict[str, Any] = inspect.active_queues() or {}
    consumers = [name for name in able if queue in {each["name"] for each in queues.get(name, ())}]
    if queues and not consumers:
        yield error(
            f"{_names(able)} runs, but does not consume the queue {queue!r}.",
            f"Start a worker for it: celery -A <project> worker -Q {queue}.",
        )
        return
    yield error(
        f"{_names(consumers or able)} runs, but did not run a task of ours in time, or wrote to"
        " another database.",
        "If other tasks keep it busy, give our tasks a queue and a worker of their own. Otherwise"
        " compare its settings with those of this process.",
    )


def _queue() -> str:
    """The queue to which our tasks are sent."""
    route: dict[str, Any] = current_app.amqp.router.route({}, PLACE_CALL)
    queue = route.get("queue")
    return str(getattr(queue, "name", queue) or current_app.conf.task_default_queue)


def _names(workers: Any) -> str:
    names = sorted(workers)
    return names[0] if len(names) == 1 else f"{names[0]} (one of {len(names)} workers)"


def _waiting_calls() -> Iterator[Finding]:
    """The calls that no worker has taken."""
    now = timezone.now()
    waiting = CallRequest.objects.due(now - WAITS).order_by("rings_at")
    oldest = waiting.values_list("rings_at", flat=True).first()
    if oldest is not None:
        count = waiting[:1000].count()
        seconds = (now - oldest).total_seconds()
        yield warning(f"Calls that wait for a worker: {count}, the first since {seconds:.0f} s.")


def check_sweep(options: Options) -> Iterator[Finding]:
    """When beat or `poketalk_sweep` last did its work."""
    start = (
        "Run Celery beat with BEAT_SCHEDULE, or poketalk_sweep. Without it, calls whose task was"
        " lost are not placed, and calls without events never end."
    )
    seen = Heartbeat.objects.filter(name=Heartbeat.SWEEP).first()
    if seen is None:
        yield error("The sweep has never run.", start)
        return
    age = timezone.now() - seen.seen_at
    host = f" on {seen.host}" if seen.host else ""
    if age > SWEEP_LATE:
        yield error(f"The last sweep was {_ago(age)}{host}.", start)
    else:
        yield ok(f"The last sweep was {_ago(age)}{host}.")


def _ago(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
