"""What the page "Works with" promises about projects: replicas, several sites, languages in URLs,
a transaction for each request, and ASGI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as project
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.urls import include, path
from django.utils import timezone, translation

from django_poketalk.calls import placing, verification
from django_poketalk.events import incoming
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import BlacklistedNumber, CallRequest, Phone
from django_poketalk.protocol import eventurl
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.signals import call_ended, call_requested

from .conftest import CALLEE
from .people import agent, contact, logged_in, page, token

NewCall = Callable[..., CallRequest]
Change = Callable[..., None]

BACK = "/contacts/7/"


# Read replicas


class ReadsFromReplica:
    """Sends reads of the app's rows to a database that tests may not read: each would fail."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model._meta.app_label == "poketalk" else None


@pytest.fixture
def _replica(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    empty = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    configured = connections.configure_settings({"default": {}, "replica": empty})
    monkeypatch.setitem(connections.settings, "replica", configured["replica"])
    settings.DATABASE_ROUTERS = [ReadsFromReplica()]
    yield
    connections["replica"].close()
    del connections["replica"]


@pytest.mark.django_db
@pytest.mark.usefixtures("_replica")
class TestReadReplicas:
    def test_no_test_can_read_from_the_replica(self, call: CallRequest) -> None:
        with pytest.raises(AssertionError, match="'replica' are not allowed"):
            CallRequest.objects.using("replica").get()

    def test_limits_and_keys_are_read_from_the_primary(
        self, new_call: NewCall, poketalk: Change
    ) -> None:
        poketalk(CALLS_PER_HOUR_PER_CALLEE=1)
        call = new_call(idempotency_key="one")

        assert new_call(idempotency_key="one") == call
        with pytest.raises(CallRefused) as refusal:
            new_call(idempotency_key="two")
        assert refusal.value.code == "calls_per_hour_per_callee"

    def test_the_blacklist_is_read_from_the_primary(self, new_call: NewCall) -> None:
        BlacklistedNumber.objects.create(number=CALLEE, direction="to")

        with pytest.raises(CallRefused) as refusal:
            new_call()
        assert refusal.value.code == "blacklisted"

    def test_a_call_is_placed_watched_and_ended(self, client: Client) -> None:
        anna, bob = agent(), contact()
        client.force_login(anna)

        pressed = client.post("/poketalk/place/", {"token": token(anna, contact=bob), "next": BACK})
        assert "Call about Bob" in page(client.get(pressed.url))
        call = CallRequest.objects.get()
        placing.place(call.pk)
        assert event(client, call, 7, 10) == 200
        assert client.get(f"/poketalk/{call.pk}/status/").json()["state"] == "connected"
        assert client.get("/poketalk/api/calls/").json()["results"][0]["id"] == call.pk
        assert client.get(f"/poketalk/api/calls/{call.pk}/").json()["events"][0]["status"] == 7
        client.post(f"/poketalk/{call.pk}/hang-up/")
        assert event(client, call, 7, 20) == 412
        placing.sweep(timezone.now() + timedelta(hours=1))

    def test_phones_and_their_codes_are_read_from_the_primary(
        self, client: Client, poketalk: Change
    ) -> None:
        poketalk(VERIFY_PHONES=f"{__name__}.send")
        SENT.clear()
        anna = agent()
        client.force_login(anna)
        phone = Phone.objects.get()

        verification.send_code(phone)
        verification.enter_code(phone, SENT[0])

        assert "verified" in page(client.get("/poketalk/my-phones/"))

    def test_the_pages_of_the_admin(self, client: Client, new_call: NewCall) -> None:
        client.force_login(get_user_model().objects.create_superuser("boss"))
        entry = BlacklistedNumber.objects.create(number="+442079460999", direction="to")
        call = new_call()

        for path_ in (
            "callrequest/",
            f"callrequest/{call.pk}/change/",
            "callrequest/reports/",
            "callrequest/place/",
            "blacklistednumber/",
            f"blacklistednumber/{entry.pk}/change/",
            "phone/",
        ):
            assert client.get(f"/admin/poketalk/{path_}").status_code == 200, path_


SENT: list[str] = []


def send(phone: Phone, code: str) -> None:
    SENT.append(code)


def event(client: Client, call: CallRequest, status: int, duration: int = 0) -> int:
    """Request the call's EventURL as the service does. Returns the HTTP status."""
    url = eventurl.expand(
        incoming.event_url(call), Event(CallStatus(status), call.webcallid, duration, None)
    )
    return client.get(url.removeprefix("https://crm.example.com")).status_code


# i18n_patterns

urlpatterns = i18n_patterns(
    path("admin/", admin.site.urls),
    path("poketalk/", include("django_poketalk.urls")),
    path("poketalk/api/", include("django_poketalk.api.urls")),
)


@pytest.fixture
def _languages(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.LANGUAGE_CODE = "en"
    settings.MIDDLEWARE = [*project.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]


@pytest.mark.django_db
@pytest.mark.usefixtures("_languages")
class TestLanguagesInURLs:
    def test_a_user_stays_in_their_language(self, client: Client) -> None:
        anna, bob = agent(), contact()
        client.force_login(anna)
        with translation.override("de"):
            button = token(anna, contact=bob)

        pressed = client.post("/de/poketalk/place/", {"token": button, "next": "/de/contacts/7/"})

        assert pressed.url.startswith("/de/poketalk/")
        html = page(client.get(pressed.url))
        assert 'lang="de"' in html
        assert 'action="/de/poketalk/' in html

    @pytest.mark.parametrize("language", ["en", "de", "he", None])
    def test_events_arrive_whatever_the_worker_s_language(
        self, client: Client, call: CallRequest, language: str | None
    ) -> None:
        placing.place(call.pk)
        with translation.override(language):
            assert event(client, call, 1) == 200
        assert event(client, call, 3) == 200

        call.refresh_from_db()
        assert call.status == 3


# Several sites

NORTH, SOUTH = "north.example.com", "south.example.com"


@pytest.mark.django_db
class TestSeveralSites:
    def test_every_address_is_of_the_site_that_is_visited(self) -> None:
        anna, bob = agent(), contact()
        button = {"token": token(anna, contact=bob), "next": f"https://{SOUTH}/contacts/7/"}

        pressed = logged_in(anna, headers={"host": SOUTH}).post(
            "/poketalk/place/", button, secure=True
        )

        assert pressed.url.startswith("/poketalk/")
        html = page(logged_in(anna, headers={"host": SOUTH}).get(pressed.url, secure=True))
        assert f'href="https://{SOUTH}/contacts/7/">Back</a>' in html
        assert NORTH not in html

    def test_no_page_leads_to_another_one_of_them(self) -> None:
        anna, bob = agent(), contact()
        button = {"token": token(anna, contact=bob), "next": f"https://{NORTH}/contacts/7/"}

        pressed = logged_in(anna, headers={"host": SOUTH}).post("/poketalk/place/", button)

        assert NORTH not in pressed.url

    def test_each_can_have_calls_of_its_own(self, new_call: NewCall, poketalk: Change) -> None:
        poketalk(VISIBLE_CALLS=f"{__name__}.of_the_north")
        anna = agent("anna", "view_callrequest")
        north, south = new_call(user=agent("nora")), new_call(user=agent("simon"))

        client = logged_in(anna)

        assert client.get(f"/poketalk/{north.pk}/").status_code == 200
        assert client.get(f"/poketalk/{south.pk}/").status_code == 404


def of_the_north(calls: Any, user: Any) -> Any:
    return calls.filter(user__username="nora")


# ATOMIC_REQUESTS


@pytest.fixture
def _atomic(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


@pytest.mark.usefixtures("_atomic")
class TestAtomicRequests:
    def test_the_worker_is_woken_after_the_request_is_committed(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna, bob = agent(), contact()
        client.force_login(anna)
        in_transaction: list[bool] = []
        note = lambda *args, **facts: in_transaction.append(connection.in_atomic_block)  # noqa: E731
        monkeypatch.setattr("django_poketalk.calls.task_publisher.wake", note)
        call_requested.connect(note)
        try:
            client.post("/poketalk/place/", {"token": token(anna, contact=bob), "next": BACK})
        finally:
            call_requested.disconnect(note)

        assert in_transaction == [False, False]

    def test_a_request_that_fails_makes_no_call(
        self, woken: list[Any], settings: Any, client: Client
    ) -> None:
        settings.ROOT_URLCONF = "tests.caller.failing_urls"
        client.raise_request_exception = False

        assert client.get("/request-and-fail/").status_code == 500
        assert not CallRequest.objects.exists()
        assert woken == []

    def test_a_refused_call_and_events_are_answered(
        self, client: Client, call: CallRequest
    ) -> None:
        anna = agent()
        client.force_login(anna)

        assert client.post("/poketalk/place/", {"token": "x"}).status_code == 422
        ended: list[Any] = []
        listen = lambda call, **facts: ended.append(call.pk)  # noqa: E731
        call_ended.connect(listen)
        try:
            placing.place(call.pk)
            assert [event(client, call, status) for status in (1, 2, 2)] == [200, 200, 200]
        finally:
            call_ended.disconnect(listen)
        assert ended == [call.pk]


# ASGI


@pytest.mark.django_db(transaction=True)
class TestASGI:
    def test_a_call_from_the_button_to_the_end(self) -> None:
        anna, bob = agent(), contact()
        client = AsyncClient()
        client.force_login(anna)
        button = {"token": token(anna, contact=bob), "next": BACK}

        pressed: Any = async_to_sync(client.post)("/poketalk/place/", button)
        call = CallRequest.objects.get()
        assert pressed.url.startswith(f"/poketalk/{call.pk}/")
        placing.place(call.pk)
        for status, answer in ((1, 200), (7, 200), (8, 200)):
            url = eventurl.expand(
                incoming.event_url(call), Event(CallStatus(status), call.webcallid, 10, None)
            )
            response: Any = async_to_sync(client.get)(url.removeprefix("https://crm.example.com"))
            assert response.status_code == answer
        shown: Any = async_to_sync(client.get)(f"/poketalk/{call.pk}/status/")
        assert shown.json()["phase"] == "ended"

    def test_csv_files_are_streamed(self, new_call: NewCall) -> None:
        boss = get_user_model().objects.create_superuser("boss")
        call = new_call()
        client = AsyncClient()
        client.force_login(boss)
        order = {"action": "export_csv", "_selected_action": [call.pk]}

        async def export() -> bytes:
            response: Any = await client.post("/admin/poketalk/callrequest/", order)
            return b"".join([part async for part in aiter(response)])

        assert call.webcallid.encode() in async_to_sync(export)()
