"""Concurrent requests to the API: the same key places one call."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from django_poketalk.models import CallRequest

from ..calls.test_races import THREADS, at_once
from ..conftest import CALLEE
from ..people import agent, someone
from .rest_client import BLACKLIST, CALLS, client, post

pytestmark = pytest.mark.django_db(transaction=True)
REQUESTS = 100  # in as many threads as a database of 100 connections lets one test have


def test_a_hundred_requests_with_the_same_key_place_one_call(settings: Any, poketalk: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"poketalk_place": None}}
    poketalk(LIVE_CALLS_PER_USER=1)
    cache.clear()
    cookies = client(agent()).cookies

    def request() -> list[tuple[int, int]]:
        mine = client_with(cookies)
        answers = [
            post(mine, CALLS, {"to_number": CALLEE}, '"click"') for _ in range(REQUESTS // THREADS)
        ]
        return [(each.status_code, each.json().get("id", each.json())) for each in answers]

    answers = [each for thread in at_once(request) for each in thread]

    call = CallRequest.objects.get()
    assert answers == [(201, call.pk)] * REQUESTS


def client_with(cookies: Any) -> Any:
    made = Client(raise_request_exception=False)
    made.cookies = cookies
    return made


def test_a_number_that_is_blacklisted_concurrently_has_one_entry() -> None:
    cookies = client(someone("keeper", "add_blacklistednumber")).cookies

    answers = at_once(lambda: post(client_with(cookies), BLACKLIST, {"number": CALLEE}).status_code)

    assert sorted(answers) == [201] + [400] * (THREADS - 1)
