"""A browser, a live server, and a service under the test's control."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as project
from django.test import Client, override_settings
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.caller.people import agent, contact
from tests.crm.models import Contact

from . import demo
from .fixtures import browser, service, worker
from .service import Service

__all__ = ["browser", "service", "worker"]

TIMEOUT = 20_000  # milliseconds; long enough for a busy machine
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`violates the policy: ${event.violatedDirective}`));
"""

expect.set_options(timeout=TIMEOUT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.needs("chromium"))
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="session")
def demo_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the demo, in which one call has been placed."""
    with demo.running(tmp_path_factory.mktemp("demo")) as address:
        demo.place_call(address, "/contacts/1/")
        yield address


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator[LiveServer]:
    with override_settings(
        MIDDLEWARE=["tests.browser.site.content_security_policy", *project.MIDDLEWARE]
    ):
        live = LiveServer("127.0.0.1")
    yield live
    live.stop()


@pytest.fixture
def no_worker(worker: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker: calls stay queued."""
    monkeypatch.setattr("django_poketalk.calls.task_publisher.wake", lambda pk, delay=0: None)


@pytest.fixture
def site(
    transactional_db: None, server: LiveServer, service: Service, worker: None, settings: Any
) -> str:
    """The address of the site, which places its calls with the service."""
    settings.ROOT_URLCONF = "tests.browser.site"
    settings.POKETALK = {
        **settings.POKETALK,
        "BACKEND": "django_poketalk.backends.click2call.Click2CallBackend",
        "URL": service.url,
        "EVENT_BASE_URL": server.url,
    }
    return str(server.url)


@pytest.fixture
def anna(site: str) -> Any:
    return agent()


@pytest.fixture
def bob(site: str) -> Contact:
    return contact()


@pytest.fixture
def problems() -> list[str]:
    """Errors and warnings in the browser's console, including violations of the policy.

    The list must be empty at the end of each test. A test that causes an entry removes it.
    """
    return []


def record_problems(page: Page, problems: list[str]) -> None:
    """Record the page's errors, and errors and warnings in its console."""
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: (
            problems.append(message.text) if message.type in ("error", "warning") else None
        ),
    )


@pytest.fixture
def visit(
    browser: Browser, site: str, anna: Any, bob: Contact, problems: list[str]
) -> Iterator[Callable[..., Page]]:
    """Open Bob's page as Anna, in a new browser context with these options, or in `context`."""
    contexts: list[BrowserContext] = []

    def open_page(context: BrowserContext | None = None, **options: Any) -> Page:
        if context is None:
            context = browser.new_context(**{"base_url": site, **options})
            contexts.append(context)
            context.set_default_timeout(TIMEOUT)
            context.add_init_script(REPORT_VIOLATIONS)
            client = Client()
            client.force_login(anna)
            session = client.cookies[project.SESSION_COOKIE_NAME].value
            context.add_cookies(
                [{"name": project.SESSION_COOKIE_NAME, "value": session, "url": site}]
            )
        page = context.new_page()
        record_problems(page, problems)
        page.goto(f"/contacts/{bob.pk}/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
