"""Our backends, and that of the docs, pass the suite for backends."""

from __future__ import annotations

import acme
import pytest

from django_poketalk.backends import query_api
from django_poketalk.testing.backends import TIMEOUT, BackendSuite

from .providers import FakeAcme, FakeClick2Call, FakeOwnService


@pytest.fixture(autouse=True)
def _brief_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers that do not answer are waited for as briefly as for orders."""
    monkeypatch.setattr(query_api, "TIMEOUT", TIMEOUT)
    monkeypatch.setattr(acme, "PATIENCE", TIMEOUT)


class TestClick2Call(BackendSuite):
    provider_class = FakeClick2Call


class TestOwnService(BackendSuite):
    provider_class = FakeOwnService


class TestAcme(BackendSuite):
    provider_class = FakeAcme
