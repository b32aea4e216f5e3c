"""The web server of `event_view`: the event view, and the views that it is compared with."""

from __future__ import annotations

import os
from decimal import Decimal

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.production_settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from django.conf import settings as project  # noqa: E402
from django.contrib.auth.decorators import login_not_required  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_poketalk.events import recording, tokens  # noqa: E402
from django_poketalk.models import CallEvent, CallRequest  # noqa: E402
from django_poketalk.protocol import eventurl  # noqa: E402
from django_poketalk.protocol.codes import CallStatus  # noqa: E402

project.ROOT_URLCONF = __name__
UPDATE = f"UPDATE {CallRequest._meta.db_table} SET duration = duration + 1 WHERE id = %s"


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


@login_not_required
def update(request: HttpRequest, token: str) -> HttpResponse:
    """The least that a view can do which records anything: one UPDATE, without the ORM."""
    with connection.cursor() as cursor:
        cursor.execute(UPDATE, [int(token.partition("-")[0])])
    return HttpResponse()


@login_not_required
def statement(request: HttpRequest, token: str) -> HttpResponse:
    """Record the event as the event view does, in an empty view: nothing is verified or decided,
    and without a limit of time.
    """
    pk, event = int(token.partition("-")[0]), eventurl.parse(request.META["QUERY_STRING"])
    recording.record(pk, event, "127.0.0.1", timezone.now())
    return HttpResponse()


urlpatterns = [
    path("poketalk/", include("django_poketalk.urls")),
    path("naive/<str:token>/", naive),
    path("empty/<str:token>/", empty),
    path("update/<str:token>/", update),
    path("statement/<str:token>/", statement),
]
