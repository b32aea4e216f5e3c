"""One call end to end: button, Celery worker, HTTP, service, switch and two soft phones.

The caller's side ends the call at its limit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery
from django.db import connection
from django.urls import reverse

from django_poketalk.models import CallRequest, Phone
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.server.models import AllowedAddress, ApiKey, Call
from django_poketalk.server.switch.machine.facts_and_commands import Cause
from tests.caller import people
from tests.caller.calls.test_brokers import BROKER, broker  # noqa: F401
from tests.server.switch.processes import ROOT, switch, wait_for

from .baresip import running_baresip
from .conftest import A, B, SipService
from .ports import free_port

pytestmark = [
    pytest.mark.needs("baresip", "sippy", "rabbitmq" if BROKER.startswith("amqp") else "redis"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

LIMIT = 2  # seconds; the maximum duration that the caller's side allows


@contextmanager
def running_worker(app: Celery, site: str, api_key: str) -> Iterator[None]:
    """Run a Celery worker that places calls with the service at `site`, until the block ends."""
    queue = app.conf.task_default_queue
    command = ["worker", "--concurrency=1", "--loglevel=WARNING", "--queues", queue]
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "tests.celery", *command, "-n", f"{queue}@%h"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.server.switch.gateways.sip.end_to_end_settings",
            "WORKER_DATABASE_NAME": str(connection.settings_dict["NAME"]),
            "WORKER_SERVICE_URL": f"{site}/index.php/api/click2call",
            "WORKER_BROKER_URL": app.conf.broker_url,
            "WORKER_API_KEY": api_key,
            "WORKER_EVENT_BASE_URL": site,
        },
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def press(from_number: str, to_number: str) -> None:
    """Press a contact's call button, as a user with this number."""
    anna = people.agent()
    Phone.objects.filter(user=anna).update(number=from_number)
    tag = f'call_button contact field="phone" max_duration={LIMIT}'
    signed = people.token(anna, tag, contact=people.contact(phone=to_number))
    response = people.logged_in(anna).post(reverse("poketalk:place"), {"token": signed})
    assert response.status_code == 302


def test_a_call_from_the_button_is_connected_and_ends_at_its_limit(
    service: SipService,
    broker: Celery,  # noqa: F811
    live_server: Any,
) -> None:
    AllowedAddress.objects.create(account=service.account, network="127.0.0.1")
    _, api_key = ApiKey.issue(service.account)
    with (
        running_baresip(f"{A}01", 440) as a,
        running_baresip(f"{B}02", 880) as b,
        running_worker(broker, live_server.url, api_key),
        switch(speed=1, SWITCH_SIP_PORT=str(free_port()), SWITCH_EVENT_INTERVAL="1") as process,
    ):
        service.gateway(A, a.port)
        service.gateway(B, b.port)

        press(from_number=f"+{A}01", to_number=f"+{B}02")

        ended_requests = CallRequest.objects.filter(status=CallStatus.AB_DISCONNECTED)
        wait_for(ended_requests.exists)
        at_a, at_b = a.media_stats(), b.media_stats()  # available after the BYE
        wait_for(Call.objects.filter(state=Call.State.ENDED).exists)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)

    request, call = CallRequest.objects.get(), Call.objects.get()
    assert call.custom == request.webcallid
    assert (request.status, call.status) == (8, 8)
    assert call.hangup_cause == Cause.VETOED
    assert request.events.filter(answer=412, status=7, duration=LIMIT).count() == 1
    assert request.duration == call.duration >= LIMIT
    assert request.cost == call.cost == -sum(entry.amount for entry in call.entries.all()) > 0
    for one, other in ((at_a, at_b), (at_b, at_a)):
        assert other.sent > 0
        assert one.received >= other.sent - 5  # in transit when the call ended
        assert one.errors == 0
    assert "Traceback" not in output
    assert "wrong thread" not in output
