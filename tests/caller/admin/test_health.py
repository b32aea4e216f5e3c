"""The health page of the caller's side."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.models import Heartbeat
from tests.caller.people import page

HEALTH = "/admin/poketalk/heartbeat/"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "never"),
        (0, "less than a minute ago"),
        (58, "less than a minute ago"),
        (61, "1 minute ago"),
    ],
)
def test_the_page_says_when_the_last_sweep_was(
    seconds: int | None, words: str, admin_client: Client
) -> None:
    if seconds is not None:
        Heartbeat.beat(Heartbeat.SWEEP)
        Heartbeat.objects.update(seen_at=timezone.now() - timedelta(seconds=seconds))

    html = page(admin_client.get(HEALTH))

    assert words in html.split("Last sweep")[1].split("</dd>")[0]
