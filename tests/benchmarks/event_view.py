"""Measure the speed of the event view, compared with a naive view and an empty one.

    DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench python -m tests.benchmarks.event_view

Runs in one process, without a web server, on an existing database, which it migrates. It deletes
all calls. Rounds are interleaved. Compare the ratios between machines, not the rates.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from decimal import Decimal

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings as project  # noqa: E402
from django.contrib.auth.decorators import login_not_required  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, connections, transaction  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_poketalk import conf  # noqa: E402
from django_poketalk.events import incoming, tokens  # noqa: E402
from django_poketalk.models import CallEvent, CallRequest  # noqa: E402
from django_poketalk.protocol import eventurl  # noqa: E402
from django_poketalk.protocol.codes import CallStatus  # noqa: E402
from django_poketalk.protocol.eventurl import Event  # noqa: E402

CALLS, TICKS, ROUNDS = 50, 20, 7


@login_not_required
def naive(request: HttpRequest, token: str) -> HttpResponse:
    """Lock, read, merge, save and log with the ORM."""
    limits = tokens.read(token)
    event = eventurl.parse(request.META["QUERY_STRING"])
    with transaction.atomic():
        call = CallRequest.objects.select_for_update().get(pk=limits and limits.pk)
        before = None if call.status is None else CallStatus(call.status)
        call.status = event.status.merge(before)
        call.duration = max(call.duration, event.duration or 0)
        call.cost = max(call.cost, event.cost or Decimal(0))
        call.last_event_at = timezone.now()
        CallEvent.objects.create(
            call=call, status=event.status, duration=event.duration, cost=event.cost, answer=200
        )
        call.save()
    return HttpResponse()


@login_not_required
def empty(request: HttpRequest, token: str) -> HttpResponse:
    """Do nothing."""
    return HttpResponse()


urlpatterns = [
    path("poketalk/", include("django_poketalk.urls")),
    path("naive/<str:token>/", naive),
    path("empty/<str:token>/", empty),
]


def event_urls() -> list[str]:
    """The URLs of ticks of new calls."""
    CallRequest.objects.all().delete()
    urls: list[str] = []
    for _ in range(CALLS):
        call = CallRequest.objects.create(
            from_number="+442079460000",
            to_number="+442079460123",
            max_duration=10**6,
            expires_at=timezone.now(),
        )
        template = incoming.event_url(call).removeprefix(conf.settings.event_base_url)
        for tick in range(TICKS):
            event = Event(CallStatus.B_ANSWERED, call.webcallid, 60 * tick, Decimal("0.1") * tick)
            urls.append(eventurl.expand(template, event))
    return urls


def rate(urls: list[str]) -> float:
    """Requests per second, through Django's handler and middleware, without a socket."""
    client = Client()
    started = time.perf_counter()
    for url in urls:
        client.get(url)  # 404 for forged events
    return len(urls) / (time.perf_counter() - started)


def main() -> None:
    project.ROOT_URLCONF = "tests.benchmarks.event_view"
    connections.settings["default"]["CONN_MAX_AGE"] = None  # as in production, also in threads
    call_command("migrate", verbosity=0)
    versions = f"Django {django.__version__}, Python {platform.python_version()}"
    print(f"{connection.vendor}, {versions}, {os.cpu_count()} cores, {ROUNDS} rounds", flush=True)
    rates: dict[str, list[float]] = {"event": [], "naive": [], "empty": [], "forged": []}
    for _ in range(ROUNDS):
        urls = event_urls()
        rates["event"].append(rate(urls))
        rates["naive"].append(rate([u.replace("poketalk/events/", "naive/") for u in urls]))
        rates["empty"].append(rate([u.replace("poketalk/events/", "empty/") for u in urls]))
        rates["forged"].append(rate([u.replace("/?", "!/?") for u in urls]))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, found in rates.items():
        print(f"{name:7} {medians[name]:7.0f}/s  ({min(found):.0f} to {max(found):.0f})")
    print(f"event / naive   {medians['event'] / medians['naive']:.2f}   (goal: 2.2 or more)")
    print(f"event / empty   {medians['event'] / medians['empty']:.2f}   (goal: 0.25 or more)")
    print(f"forged / empty  {medians['forged'] / medians['empty']:.2f}   (goal: 0.8 or more)")


if __name__ == "__main__":
    sys.exit(main())
