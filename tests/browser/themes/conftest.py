"""The site with the theme, without the strict policy, which the themes violate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth import get_user_model
from django.test import Client
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from ..conftest import TIMEOUT


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator[LiveServer]:
    live = LiveServer("127.0.0.1")
    yield live
    live.stop()


@pytest.fixture
def site(site: str, settings: Any) -> str:
    settings.ROOT_URLCONF = "tests.browser.themes.urls"
    return site


@pytest.fixture
def boss(transactional_db: None) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    return client


@pytest.fixture
def page(browser: Browser, site: str, boss: Client) -> Iterator[Page]:
    """A page of the superuser. Our scripts must not fail; those of the themes do."""
    context = browser.new_context(base_url=site, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(TIMEOUT)
    name = project.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": boss.cookies[name].value, "url": site}])
    page = context.new_page()
    errors: list[str] = []
    page.on(
        "pageerror",
        lambda error: errors.append(str(error)) if "/poketalk" in (error.stack or "") else None,
    )
    yield page
    context.close()
    assert errors == []
