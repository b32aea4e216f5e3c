"""A project's own view, which requests a call and then fails."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_poketalk.calls import requesting

from .conftest import CALLEE, CALLER


@login_not_required
def request_and_fail(request: HttpRequest) -> HttpResponse:
    requesting.request_call(from_number=CALLER, to_number=CALLEE)
    raise LookupError("after the call was requested")


urlpatterns = [path("request-and-fail/", request_and_fail)]
