"""Many odd requests to every URL of both halves: no server error, and no call ended by accident."""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.conf import settings as project
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.utils import timezone

from django_poketalk.button import signed_call
from django_poketalk.calls import placing, requesting
from django_poketalk.events import incoming
from django_poketalk.models import CallRequest
from tests.caller.events.test_event_view import BASE
from tests.caller.events.test_odd_events import (
    NUMBERS,
    ODD,
    is_event,
    is_past_the_limits,
    odd_query,
)
from tests.conftest import Times
from tests.security import every_page
from tests.server.conftest import CALLEE, CALLER, PATH, Customer

NAMES = (
    *("order", "next", "q", "o", "p", "all", "before", "page_size", "cursor", "custom", "state"),
    *("action", "_selected_action", "select_across", "index", "_save", "_popup", "_to_field", "e"),
    *("number", "numbers", "entries", "period", "from", "to", "since", "until", "by", "format"),
    *("to_number", "from_number", "about", "content_type", "object_id", "code", "nonce", "token"),
    *("created_at__gte", "created_at__year", "created_at__day", "user__id__exact", "post", "term"),
    *("x_to_extension", "x_caller_id", "api_key", "eventurl", "app_label", "model_name"),
)
VALUES = (
    *(*NUMBERS, *ODD, "1", "2", "today", "2026-11-29", "2026-02-30", "0001-01-01", "9999-12-31"),
    *("9" * 18, "9" * 19, "9" * 30, "-1", "on", "true", "null", "[]", "{}", "a" * 300, "://", "//"),
    *("https://[", "/%00", "..", "\ud800", "\u202e", "𝟙", "ʼ", "%", "\\", "'", '"', "💣" * 50),
    *(f"+{CALLER}", CALLEE, "020 7946 0123", "+44 20 7946 0123 ext. 12", "112", "+870773111632"),
)
METHODS = ("GET", "GET", "GET", "POST", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
# They end the session, have no parameters, or are Django's own: on SQLite, too large a key of a
# permission is an error there.
LEFT_OUT = ("logout", "jsi18n", "auth_group_add", "auth_group_change")
# The parts of the site, and how many of the requests for pages each gets
PARTS = {"/admin/": 6, "/poketalk/api/": 4, "/poketalk/": 2, "/api/": 2, "/": 0}
ENCODED = "application/x-www-form-urlencoded"


class Fields(HTMLParser):
    """The fields of the forms of a page, with their values."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._select = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "option" and self._select and "selected" in has:
            self.values[self._select] = has.get("value", "")
        elif tag in ("input", "textarea", "select", "button") and has.get("name"):
            self._select = has["name"] if tag == "select" else ""
            if has.get("type") not in ("checkbox", "radio") or "checked" in has:
                self.values[has["name"]] = has.get("value", "")


class Odd:
    """Makes odd requests with this customer, about this call and about existing rows."""

    def __init__(self, seed: int, call: CallRequest, customer: Customer, client: Client) -> None:
        self.chance = random.Random(seed)
        self.client = client
        user = get_user_model().objects.get(username="boss")
        button = signed_call.Button(signed_call.new_nonce(), call.to_number)
        self.known = (
            *(str(call.pk), call.webcallid, customer.secret, str(customer.account.pk)),
            *(signed_call.sign(button, user), call.to_number),
        )
        self.event_path = incoming.event_url(call).removeprefix(BASE).partition("?")[0]
        self.customer = customer
        self.pages: dict[str, list[tuple[str, list[str]]]] = {part: [] for part in PARTS}
        for route, name in every_page.routes():
            if name.rpartition(":")[2] not in LEFT_OUT and "/events/" not in route:
                part = next(each for each in PARTS if route.startswith(each))
                self.pages[part].append((route, every_page.addresses(route, name)))
        self.forms: dict[str, dict[str, str]] = {}  # by path
        fields = (field for model in apps.get_models() for field in model._meta.fields)
        self.names = sorted({*NAMES, *(field.name for field in fields)})

    def value(self) -> str:
        return self.chance.choice(VALUES if self.chance.random() < 0.7 else self.known)

    def data(self) -> dict[str, Any]:
        return {
            self.chance.choice(self.names): self.value() for _ in range(self.chance.randrange(6))
        }

    def path(self) -> str:
        """A URL of the project, mostly of an existing row, else with odd values."""
        part = self.chance.choices([*PARTS], [*PARTS.values()])[0]
        route, addresses = self.chance.choice(self.pages[part])
        if addresses and self.chance.random() < 0.7:
            return self.chance.choice(addresses)
        path = every_page.PARAMETER.sub(lambda _match: self.value(), route)
        return path.replace("?", "").replace("#", "").encode(errors="ignore").decode()

    def form(self, path: str) -> dict[str, Any]:
        """What a browser would send from this page, with an odd value or two."""
        if path not in self.forms:
            html = read(self.client.get(path)).decode(errors="replace")
            self.forms[path] = Fields(html).values
        form = dict(self.forms[path])
        for name in self.chance.sample(sorted(form), min(len(form), self.chance.randrange(3))):
            form[name] = self.value()
        return form

    def event(self) -> tuple[str, str, dict[str, Any]]:
        return "GET", self.event_path, {"QUERY_STRING": odd_query(self.chance)}

    def click2call(self) -> tuple[str, str, dict[str, Any]]:
        names = ("from_", "to", "custom", "eventurl", "api_key", "x_to_extension", "x_caller_id")
        changed = self.chance.sample(names, self.chance.randrange(3))
        form = self.customer.form(**{name: self.value() for name in changed})
        body = urlencode(form, errors="surrogatepass")
        return "POST", PATH, {"data": body, "content_type": ENCODED}

    def page(self) -> tuple[str, str, dict[str, Any]]:
        method, path, data = self.chance.choice(METHODS), self.path(), self.data()
        extra: dict[str, Any] = {}
        if self.chance.random() < 0.5:
            extra["QUERY_STRING"] = urlencode(self.data(), errors="surrogatepass")
        if method == "POST" and "/api/" not in path and self.chance.random() < 0.7:
            body = urlencode(self.form(path) | data, errors="surrogatepass")
            return method, path, extra | {"data": body, "content_type": ENCODED}
        if method not in ("GET", "HEAD", "OPTIONS"):
            if self.chance.random() < 0.5:
                text = json.dumps(self.chance.choice([data, data, data, [data], self.value()]))
                extra |= {"data": text, "content_type": "application/json"}
            else:
                types = [ENCODED, ENCODED, "multipart/form-data", ""]
                text = urlencode(data, errors="surrogatepass")
                extra |= {"data": text, "content_type": self.chance.choice(types)}
        if path.startswith("/api/") and self.chance.random() < 0.7:
            extra["HTTP_AUTHORIZATION"] = f"Api-Key {self.customer.secret}"
        if self.chance.random() < 0.3:
            extra["HTTP_IDEMPOTENCY_KEY"] = self.chance.choice(['"key"', "key", '"', "a" * 300])
        return method, path, extra

    def request(self) -> tuple[str, str, dict[str, Any]]:
        kinds: list[Callable[[], Any]] = [self.event, self.click2call, self.page]
        made: tuple[str, str, dict[str, Any]] = self.chance.choices(kinds, (2, 2, 6))[0]()
        return made


def read(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.fixture
def boss(db: None, settings: Any) -> Client:
    """Somebody who may do everything, so that no page ends at its permission."""
    client = Client(raise_request_exception=False)
    client.force_login(get_user_model().objects.create_superuser("boss", "boss@example.com"))
    settings.REST_FRAMEWORK = {
        "DEFAULT_THROTTLE_RATES": dict.fromkeys(
            ("poketalk_place", "poketalk_quote", "poketalk_query")
        )
    }
    cache.clear()
    return client


@pytest.fixture
def call(db: None) -> CallRequest:
    """A call that was placed, with limits that odd events can reach."""
    limits = {"max_duration": 300, "max_cost": Decimal("1.5")}
    call = requesting.request_call(from_number=f"+{CALLER}", to_number=f"+{CALLEE}", **limits)
    placing.place(call.pk)
    return call


def send(client: Client, method: str, path: str, extra: dict[str, Any]) -> tuple[int, str]:
    """The status of the response, and the error of a failed one. Nothing of it lasts."""
    session = client.cookies[project.SESSION_COOKIE_NAME].value
    with transaction.atomic():  # so that each request finds the same rows
        try:
            response = client.generic(method, path, **extra)
            read(response)
        except Exception as error:  # such as while a CSV is written
            return 599, repr(error)
        finally:
            transaction.set_rollback(True)
            client.cookies.clear()
            client.cookies[project.SESSION_COOKIE_NAME] = session
    return response.status_code, repr((getattr(response, "exc_info", None) or [None] * 2)[1])


def test_odd_requests_cause_no_server_error_and_end_no_call(
    boss: Client, call: CallRequest, customer: Customer, times: Times, caplog: Any
) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    every_page.rows()
    customer.new_call().save()
    odd = Odd(12, call, customer, boss)
    answers: Counter[int] = Counter()
    reached: set[tuple[str, str]] = set()
    wrong: list[Any] = []
    for count in range(times(250, full=200_000)):
        if count % 1000 == 0:  # its events count for an hour, and a run may take longer
            CallRequest.objects.filter(pk=call.pk).update(created_at=timezone.now())
        method, path, extra = odd.request()
        status, error = send(boss, method, path, extra)
        answers[status] += 1
        if status in (200, 201, 202, 204):
            reached.add((method, path))
        query = extra.get("QUERY_STRING", "")
        may_end = path == odd.event_path and is_event(query) and is_past_the_limits(query)
        # Odd characters anywhere in its query make an event malformed.
        if status >= 500 or ((status == 412) != may_end and not (may_end and status == 400)):
            wrong.append((status, error, method, path, extra))

    assert wrong == []
    assert {200, 302, 400, 404, 405} <= set(answers), answers
    # Requests like these get as far as pages and rows.
    assert len(reached) > 25, reached
    for part in PARTS:
        assert any(path.startswith(part) for _method, path in reached), (part, reached)
    assert send(boss, "GET", "/admin/", {})[0] == 200, "still logged in"
    past_the_limits = boss.get(odd.event_path, {"status": "7", "duration": "300"})
    assert past_the_limits.status_code == 412  # so an unexpected one would have been noticed
