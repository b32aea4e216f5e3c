"""The switch warns about low balances, whatever the mail server does."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail

from django_poketalk.server.models import Account, Call
from django_poketalk.server.switch import balance_watch
from django_poketalk.server.switch.engine import Engine

from .conftest import SPEED, Service, ended, serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def warned(service: Service, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr(balance_watch, "PAUSE", 0.05)
    Account.objects.update(low_balance_at=Decimal(1000), contact_emails="a@example.com")
    return service.account


def test_a_charge_that_makes_the_balance_low_is_followed_by_an_email(
    service: Service, warned: Account
) -> None:
    service.queue(b="06")
    serve(Engine("office", SPEED), until=lambda: len(mail.outbox) > 0)
    [sent] = mail.outbox
    assert sent.to == ["a@example.com"]
    assert Account.objects.get().is_low


def test_calls_do_not_wait_for_a_mail_server_that_hangs(
    service: Service, warned: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, done = threading.Event(), threading.Event()

    def hang(message: Any) -> None:
        hanging.set()
        done.wait()

    monkeypatch.setattr(mail.EmailMessage, "send", hang)
    monkeypatch.setattr(balance_watch, "STOP_TIMEOUT", 0.01)
    Account.objects.update(low_balance_at=Decimal(2000))
    calls = [service.queue(b="06"), service.queue(b="10")]
    both = ended(*calls)
    serve(Engine("office", SPEED), until=lambda: hanging.is_set() and both())
    done.set()
    for thread in threading.enumerate():
        if thread.name == "poketalk-balances":
            thread.join()
    assert all(call.cost > 0 for call in Call.objects.all())
