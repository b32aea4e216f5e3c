"""The site on uvicorn, a browser, and a service under the test's control."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from django.conf import settings as project
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from django_poketalk.backends import locmem
from django_poketalk.models import Phone
from tests.browser.fixtures import browser, service, worker
from tests.browser.service import Service

from .people.models import Contact, User

__all__ = ["browser", "service", "worker"]

CALLER = "+442079460000"
CALLEE = "+442079460123"
TIMEOUT = 20_000  # milliseconds; long enough for a busy machine
STARTUP = 20.0  # seconds
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`violates the policy: ${event.violatedDirective} ${event.blockedURI}`));
"""

expect.set_options(timeout=TIMEOUT)


@pytest.fixture(autouse=True)
def _start_empty() -> Iterator[None]:
    cache.clear()
    locmem.reset()
    yield
    locmem.reset()


@pytest.fixture
def poketalk(settings: Any) -> Any:
    """Set keys of `POKETALK` for this test."""

    def change(**keys: Any) -> None:
        settings.POKETALK = {**settings.POKETALK, **keys}

    return change


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The calls whose tasks would have been published. The backend keeps them in memory."""
    found: list[int] = []
    monkeypatch.setattr(
        "django_poketalk.calls.task_publisher.wake", lambda pk, delay=0: found.append(pk)
    )
    return found


def agent(name: str, *permissions: str, **fields: Any) -> User:
    """A user with a phone, who may place calls about contacts."""
    user = User.objects.create_user(name, f"{name}@example.com", name, **fields)
    codenames = ["place_call", "view_contact", *permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    Phone.objects.create(user=user, number=CALLER)
    return user


@pytest.fixture
def anna(db: None) -> User:
    return agent("anna", tenant="north")


@pytest.fixture
def bob(db: None) -> Contact:
    return Contact.objects.create(name="Bob", phone=CALLEE)


@pytest.fixture
def client(anna: User, woken: list[int], poketalk: Any) -> Client:
    """Anna's client. Calls go to the backend in memory."""
    poketalk(BACKEND="django_poketalk.backends.locmem.LocmemBackend")
    client = Client()
    client.force_login(anna)
    return client


# The browser


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator[str]:
    """The address of the site, which uvicorn serves in a thread."""
    config = uvicorn.Config(
        "tests.integration.asgi:application", port=0, log_level="warning", lifespan="off"
    )
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=serving.run)
    thread.start()
    until = time.monotonic() + STARTUP
    while not serving.started:
        assert thread.is_alive(), "uvicorn did not start"
        assert time.monotonic() < until
        time.sleep(0.02)
    [sockets] = [each.sockets for each in serving.servers]
    yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    serving.should_exit = True
    thread.join()


@pytest.fixture
def site(transactional_db: None, server: str, service: Service, worker: None, poketalk: Any) -> str:
    """The address of the site, which places its calls with the service."""
    poketalk(URL=service.url, EVENT_BASE_URL=server)
    return server


@pytest.fixture
def problems() -> list[str]:
    """Errors in the browser's console, which must be none at the end of each test."""
    return []


@pytest.fixture
def page(
    browser: Browser, site: str, anna: User, bob: Contact, problems: list[str]
) -> Iterator[Page]:
    """A page of Anna, without errors and violations of the policy in the console."""
    client = Client()
    client.force_login(anna)
    context = browser.new_context(base_url=site)
    context.set_default_timeout(TIMEOUT)
    context.add_init_script(REPORT_VIOLATIONS)
    name = project.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": site}])
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert problems == []
