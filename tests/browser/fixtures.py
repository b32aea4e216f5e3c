"""A browser, a service under the test's control, and workers: for each site that tests open."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connections
from playwright.sync_api import Browser, sync_playwright

from django_poketalk.calls import placing
from tests.needs import CHROMIUM

from .service import Service

__all__ = ["browser", "service", "worker"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as environment:
        # Playwright's event loop runs in this thread, so Django assumes asynchronous code.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        started = playwright.chromium.launch(
            executable_path=CHROMIUM.path(),
            args=["--no-sandbox", "--no-proxy-server", "--disable-background-networking"],
        )
        yield started
        started.close()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.05,))
        thread.start()
        yield service
        service.shutdown()
        thread.join()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Place each published call at once in a new thread, as a Celery worker would."""
    threads: list[threading.Thread] = []

    def work(pk: int) -> None:
        try:
            placing.place(pk)
        finally:
            connections.close_all()

    def wake(pk: int, delay: float = 0) -> None:
        threads.append(threading.Thread(target=work, args=(pk,)))
        threads[-1].start()

    monkeypatch.setattr("django_poketalk.calls.task_publisher.wake", wake)
    yield
    for thread in threads:
        thread.join()
