"""Fixtures for the tests of the caller's side. The backend of these tests sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from django_poketalk.backends import locmem
from django_poketalk.calls import requesting
from django_poketalk.models import CallRequest

CALLER = "+442079460000"
CALLEE = "+442079460123"


@pytest.fixture(autouse=True)
def _empty_outbox() -> Iterator[None]:
    locmem.reset()
    yield
    locmem.reset()


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """The tasks that would have been published: (primary key, delay in seconds)."""
    calls: list[tuple[int, float]] = []
    monkeypatch.setattr(
        "django_poketalk.calls.task_publisher.wake", lambda pk, delay=0: calls.append((pk, delay))
    )
    return calls


@pytest.fixture
def user(db: None) -> Any:
    return get_user_model().objects.create_user("anna", password="anna")


@pytest.fixture
def new_call(db: None) -> Callable[..., CallRequest]:
    """Request a call. Keywords override the defaults."""

    def make(**changes: Any) -> CallRequest:
        return requesting.request_call(**{"from_number": CALLER, "to_number": CALLEE, **changes})

    return make


@pytest.fixture
def call(new_call: Callable[..., CallRequest]) -> CallRequest:
    return new_call()


@pytest.fixture
def poketalk(settings: Any) -> Callable[..., None]:
    """Set keys of `POKETALK` for this test."""

    def change(**keys: Any) -> None:
        settings.POKETALK = {**settings.POKETALK, **keys}

    return change
