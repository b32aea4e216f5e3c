"""The request and the answer on the page of a call in the admin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from django_poketalk.events import incoming, tokens
from django_poketalk.models import CallRequest

from ..people import connected, page, staff, text


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


@pytest.fixture(autouse=True)
def _real_backend(poketalk: Callable[..., None]) -> None:
    """Use the real backend, which describes its requests. These tests send nothing."""
    poketalk(BACKEND="django_poketalk.backends.click2call.Click2CallBackend")


def address(call: CallRequest) -> str:
    return f"/admin/poketalk/callrequest/{call.pk}/change/"


def test_the_request_is_shown_as_sent_without_secrets(boss: Client, call: CallRequest) -> None:
    connected(call, response_code="00", response_detail="00 OK")
    token = tokens.make(tokens.Limits(call.pk, call.max_duration, call.max_cost))
    assert token in incoming.event_url(call)

    html = page(boss.get(address(call)))
    rendered = text(html)

    assert "POST https://calls.example.com/index.php/api/click2call" in rendered
    for field in ("to 442079460123", "from 442079460000", "api_key …", f"custom {call.webcallid}"):
        assert field in rendered
    assert f"/poketalk/events/{token[:-22]}…/?webcallid=$webcallid" in rendered
    assert token[-22:] not in html
    assert "the-key" not in html
    assert "Requests are not stored." in rendered
    assert "00 OK" in rendered


def test_secrets_in_the_service_s_url_are_not_shown(
    boss: Client, call: CallRequest, poketalk: Callable[..., None]
) -> None:
    poketalk(URL="https://anna:hush@calls.example.com/c2c?pass=hush")

    html = page(boss.get(address(call)))

    assert "POST https://calls.example.com/c2c" in html
    assert "hush" not in html


def test_a_request_that_cannot_be_rebuilt_shows_the_reason(
    boss: Client, call: CallRequest, poketalk: Callable[..., None]
) -> None:
    poketalk(EVENT_BASE_URL=f"https://crm.example.com/{'x' * 255}")

    assert "255 is the limit" in page(boss.get(address(call)))


def test_a_backend_without_describe_is_not_an_error(
    boss: Client, call: CallRequest, poketalk: Callable[..., None]
) -> None:
    poketalk(BACKEND="django_poketalk.backends.locmem.LocmemBackend")

    assert "does not describe what it sends" in page(boss.get(address(call)))
