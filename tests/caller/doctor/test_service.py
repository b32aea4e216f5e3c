"""The doctor asks the service whether it accepts this site, by requests that ring nobody."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from django_poketalk.backends.click2call import Click2CallBackend
from django_poketalk.doctor import checks
from django_poketalk.doctor.service import check_service
from django_poketalk.shared.doctor import Level

from .conftest import BRIEF, PATIENT, Reply, Site, of

BACKEND = "django_poketalk.backends.click2call.Click2CallBackend"
PATH = "/index.php/api/click2call"
EMPTY = '{"results": []}'
REFUSED = ("ok", "The service answers, and refuses a call without a callee.")
ACCEPTED = ("ok", "The service accepts the key.")


@pytest.fixture
def service(site: Site, poketalk: Callable[..., None]) -> Site:
    """Our own service, with its query API."""
    site.replies = {PATH: Reply("30"), "/api/calls/": Reply(EMPTY)}
    poketalk(BACKEND=BACKEND, URL=site.url + PATH, API_KEY="s3cret", CALLS_API=f"{site.url}/api/")
    return site


def findings() -> list[tuple[str, str]]:
    return [each for each in of(check_service("default", BRIEF)) if "clock" not in each[1]]


def test_url_and_key_are_accepted(service: Site) -> None:
    assert findings() == [REFUSED, ACCEPTED]


def test_the_request_has_no_callee_so_that_no_service_can_ring_anybody(service: Site) -> None:
    findings()

    method, path, body = service.requests[0]
    form = parse_qs(body, keep_blank_values=True)
    assert (method, path) == ("POST", PATH)
    assert (form["to"], form["api_key"]) == ([""], ["s3cret"])
    assert [method for method, _, _ in service.requests] == ["POST", "GET"]


@pytest.mark.parametrize(
    ("reply", "level", "words"),
    [
        (Reply("40"), "error", "The service refuses the key: 40 (the api key is unknown)."),
        (Reply("10"), "error", "The service refuses the key: 10"),
        (Reply("100"), "error", "The service refuses this host: 100"),
        (Reply("50"), "warning", "The service refuses calls: 50"),
        (Reply("00"), "error", "The service accepted a call without a callee."),
        (Reply("<html>"), "error", "not that of a Click-2-Call service: it answers with HTTP 200"),
        (Reply("", 404), "error", "not that of a Click-2-Call service: it answers with HTTP 404"),
        (Reply("", 301, {"Location": "https://x.example"}), "error", "URL redirects."),
    ],
)
def test_other_answers_are_explained(service: Site, reply: Reply, level: str, words: str) -> None:
    service.replies[PATH] = reply

    found = findings()

    assert found[0][0] == level
    assert words in found[0][1]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply("{}", 401), "The service does not know the key."),
        (Reply("{}", 403), "The key may not be used from this host's address."),
        (Reply("<html>"), "CALLS_API answers with HTTP 200."),
        (Reply("", 404), "CALLS_API answers with HTTP 404."),
    ],
)
def test_a_refused_key_is_found_by_the_query_api(service: Site, reply: Reply, words: str) -> None:
    service.replies["/api/calls/"] = reply

    assert findings() == [REFUSED, ("error", words)]


def test_without_calls_api_our_own_service_is_recognized(
    service: Site, poketalk: Callable[..., None]
) -> None:
    poketalk(CALLS_API="")
    assert findings() == [
        REFUSED,
        ACCEPTED,
        ("info", "The service can end calls at once, and say why they failed."),
    ]

    challenge = {"WWW-Authenticate": "Api-Key"}
    service.replies["/api/calls/"] = Reply("{}", 401, challenge)
    assert findings() == [REFUSED, ("error", "The service does not know the key.")]


@pytest.mark.parametrize("reply", [Reply("", 404), Reply("login", 401), Reply("<html>")])
def test_a_plain_service_cannot_prove_the_key(
    service: Site, poketalk: Callable[..., None], reply: Reply
) -> None:
    poketalk(CALLS_API="")
    service.replies["/api/calls/"] = reply

    [first, second] = findings()

    assert first == REFUSED
    assert second[0] == "info"
    assert "known with the first call" in second[1]


def test_a_service_at_another_path_is_not_asked_for_calls(
    service: Site, poketalk: Callable[..., None]
) -> None:
    service.replies["/click"] = Reply("30")
    poketalk(CALLS_API="", URL=f"{service.url}/click")

    assert "known with the first call" in findings()[1][1]
    assert len(service.requests) == 1


def test_the_services_clock_is_compared(service: Site) -> None:
    service.replies[PATH] = Reply("30", date="Wed, 21 Oct 2015 07:28:00 GMT")

    clocks = [each for each in of(check_service("default", BRIEF)) if "clock" in each[1]]

    assert [level for level, _ in clocks] == ["error"]
    assert "ahead of that of the service" in clocks[0][1]


def test_a_service_that_never_answers_is_reported_in_time(
    service: Site, poketalk: Callable[..., None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        poketalk(URL=f"http://127.0.0.1:{silent.getsockname()[1]}{PATH}")
        began = time.monotonic()
        [(level, text)] = findings()

    assert time.monotonic() - began < BRIEF.seconds
    assert (level, text) == ("error", "The service does not answer (ReadTimeout).")


def test_a_service_that_refuses_connections_is_reported(poketalk: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    poketalk(BACKEND=BACKEND, URL=f"http://127.0.0.1:{port}{PATH}")

    assert findings() == [("error", "The service does not answer (ConnectionError).")]


def test_without_url_or_key_nothing_is_sent(service: Site, poketalk: Callable[..., None]) -> None:
    poketalk(API_KEY="")

    assert findings() == [("error", "URL or API_KEY is not set, so no call can be placed.")]
    assert service.requests == []


def test_a_backend_without_checks_says_so() -> None:
    assert findings() == [("info", "LocmemBackend has no checks of its own.")]


def test_an_invalid_backend_is_an_error(poketalk: Callable[..., None]) -> None:
    poketalk(BACKEND="crm.backends.Missing")

    [(level, text)] = findings()

    assert level == "error"
    assert "cannot be imported" in text


@pytest.mark.django_db
def test_our_own_service_passes(
    live_server: object, poketalk: Callable[..., None]
) -> None:  # what it answers is tested on its side
    from tests.server.conftest import make_customer

    customer = make_customer()
    poketalk(URL=f"{live_server}{PATH}", API_KEY=customer.secret, CALLS_API=f"{live_server}/api/")

    found = [each for each in of(Click2CallBackend().diagnose(PATIENT)) if "clock" not in each[1]]

    assert found == [REFUSED, ACCEPTED]
    poketalk(API_KEY="wrong")
    found = [each for each in of(Click2CallBackend().diagnose(PATIENT)) if "clock" not in each[1]]
    assert found == [REFUSED, ("error", "The service does not know the key.")]


def test_each_service_has_a_check_of_its_own(service: Site, poketalk: Callable[..., None]) -> None:
    acme = {"URL": f"{service.url}/acme", "API_KEY": "theirs"}
    service.replies["/acme"] = Reply("40")
    poketalk(SERVICES={"acme": {**acme, "BACKEND": BACKEND}})
    found = {each.name: [*each.find(BRIEF)] for each in checks() if "service" in each.name}

    assert [*found] == ["service", "service:acme"]
    assert found["service"][0].level is Level.OK
    assert found["service:acme"][0].text.startswith("The service refuses the key: 40")
    assert "api_key=theirs" in service.requests[-1][2]


def test_services_that_cannot_be_read_do_not_stop_the_doctor(poketalk: Callable[..., None]) -> None:
    poketalk(SERVICES=7)

    assert "service" in [each.name for each in checks()]
