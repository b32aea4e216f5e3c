"""The doctor tries whether events reach this site, as far as that can be tried from here."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.doctor.events import check_events
from django_poketalk.models import CallEvent, CallRequest

from .conftest import BRIEF, Reply, Site, of

pytestmark = pytest.mark.django_db
EVENTS = "/poketalk/events/"


@pytest.fixture
def reached(site: Site, poketalk: Callable[..., None]) -> Site:
    site.replies = {EVENTS: Reply(status=412)}
    poketalk(EVENT_BASE_URL=site.url)
    return site


def findings() -> list[tuple[str, str]]:
    found = of(check_events("default", BRIEF))
    return [each for each in found if "not public" not in each[1]]


def test_an_event_of_no_call_is_answered_by_our_view(reached: Site) -> None:
    assert findings()[0] == ("ok", f"{reached.url} answers events.")


def test_the_view_itself_answers_as_expected(live_server: Any, poketalk: Any) -> None:
    poketalk(EVENT_BASE_URL=str(live_server))

    assert findings()[0] == ("ok", f"{live_server} answers events.")
    assert not CallEvent.objects.exists()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply("", 404), "answers events with 404"),
        (Reply("", 400), "answers events with 400"),
        (Reply("hello"), "answers events with 200"),
        (Reply("", 302, {"Location": "https://www.example.com/login/"}), "redirects events to"),
    ],
)
def test_other_answers_are_errors(reached: Site, reply: Reply, words: str) -> None:
    reached.replies[EVENTS] = reply

    [level, text] = findings()[0]

    assert level == "error"
    assert words in text


def test_the_signature_is_not_shown(reached: Site) -> None:
    reached.replies[EVENTS] = Reply("", 302, {"Location": f"{reached.url}/x/secret"})

    findings()
    [(_, path, _)] = reached.requests
    token = path.removeprefix(EVENTS).partition("/")[0]

    assert len(token) > 40
    assert token not in str(findings())
    assert "secret" not in str(findings())


def test_a_site_that_never_answers_is_reported_in_time(poketalk: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        poketalk(EVENT_BASE_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        [level, text] = findings()[0]

    assert time.monotonic() - began < BRIEF.seconds
    assert (level, "does not answer this host (ReadTimeout)" in text) == ("warning", True)


def test_a_host_without_address_is_an_error(
    poketalk: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*arguments: Any) -> Any:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    poketalk(EVENT_BASE_URL="https://crm.invalid")

    assert findings()[0] == ("error", "The host crm.invalid of EVENT_BASE_URL has no address.")


def test_without_base_url_no_events_arrive(poketalk: Callable[..., None]) -> None:
    poketalk(EVENT_BASE_URL="")

    assert findings() == [("warning", "EVENT_BASE_URL is not set, so no events arrive.")]


def test_calls_without_any_event_are_an_error(
    reached: Site, new_call: Callable[..., CallRequest]
) -> None:
    new_call()
    long_ago = timezone.now() - timedelta(minutes=5)
    CallRequest.objects.update(placement="accepted", placed_at=long_ago)
    words = "No event came for any of the latest calls that the service accepted: 1."
    assert ("error", words) in findings()

    CallRequest.objects.update(last_event_at=long_ago)

    assert "Events of a call arrived at" in findings()[-1][1]

    CallRequest.objects.update(service="acme", last_event_at=None)
    assert [level for level, _ in findings()] == ["ok", "info"]


def test_a_call_that_was_just_accepted_may_have_no_event_yet(
    reached: Site, new_call: Callable[..., CallRequest]
) -> None:
    new_call()
    CallRequest.objects.update(placement="accepted", placed_at=timezone.now())

    assert findings()[-1] == (
        "info",
        "There is no recent call whose events could prove that they arrive.",
    )
