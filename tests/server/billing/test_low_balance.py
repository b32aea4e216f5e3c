"""An account whose balance becomes low gets one signal and one e-mail, until it is topped up."""

from __future__ import annotations

import logging
import smtplib
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import connection

from django_poketalk.server.billing import ledger, low_balance
from django_poketalk.server.models import Account, Call
from django_poketalk.server.signals import balance_low

from .. import money
from ..conftest import Customer, DatabaseClock
from ..staff import page, staff

FIRST_RETRY = low_balance.FIRST_RETRY


@pytest.fixture
def account(customer: Customer) -> Account:
    """An account with 100, who wants to know below 50."""
    account = customer.account
    account.low_balance_at = Decimal(50)
    account.contact_emails = "a@example.com, b@example.com"
    account.save()
    return account


@pytest.fixture
def signals() -> Iterator[list[Account]]:
    received: list[Account] = []

    def receive(sender: Any, account: Account, **more: Any) -> None:
        received.append(account)

    balance_low.connect(receive)
    yield received
    balance_low.disconnect(receive)


def test_the_contacts_get_one_email_and_the_project_one_signal(
    account: Account, queued: Callable[..., Call], signals: list[Account]
) -> None:
    call = queued(hold=Decimal(60))
    low_balance.sweep()
    assert mail.outbox == [], "a hold is not a charge"

    money.charge(call, Decimal(30), Decimal("20.001"))
    low_balance.sweep()
    low_balance.sweep()

    [sent] = mail.outbox
    assert sent.to == ["a@example.com", "b@example.com"]
    assert sent.subject == "Low balance of ACME"
    assert "The balance of ACME is 49.999 EUR, less than 50.000 EUR." in sent.body
    assert signals == [account]
    assert signals[0].balance == Decimal("49.999")


def test_a_balance_at_the_threshold_is_not_low(account: Account, signals: list[Account]) -> None:
    ledger.adjust(account, Decimal(-50))
    low_balance.sweep()
    assert mail.outbox == signals == []


def test_a_top_up_above_the_threshold_arms_it_again(
    account: Account, signals: list[Account]
) -> None:
    ledger.adjust(account, Decimal(-60))
    low_balance.sweep()
    ledger.top_up(account, Decimal(5))
    ledger.adjust(account, Decimal(-1))
    low_balance.sweep()
    assert len(mail.outbox) == len(signals) == 1, "it was low all the time"

    ledger.top_up(account, Decimal(100))
    ledger.adjust(account, Decimal(-100))  # before any sweep
    low_balance.sweep()
    assert len(mail.outbox) == len(signals) == 2


def test_a_lower_threshold_arms_it_again(account: Account) -> None:
    ledger.adjust(account, Decimal(-60))
    low_balance.sweep()
    Account.objects.update(low_balance_at=Decimal(30))
    low_balance.sweep()
    Account.objects.update(low_balance_at=Decimal(45))
    low_balance.sweep()
    assert len(mail.outbox) == 2


@pytest.mark.parametrize("change", [{"low_balance_at": None}, {"is_active": False}])
def test_accounts_without_a_threshold_and_inactive_ones_are_not_warned(
    account: Account, signals: list[Account], change: dict[str, Any]
) -> None:
    Account.objects.update(**change)
    ledger.adjust(account, Decimal(-100))
    low_balance.sweep()
    assert mail.outbox == signals == []


def test_without_contacts_there_is_only_the_signal(
    account: Account, signals: list[Account]
) -> None:
    Account.objects.update(contact_emails="")
    ledger.adjust(account, Decimal(-60))
    low_balance.sweep()
    assert mail.outbox == []
    assert signals == [account]


def test_the_email_is_in_the_accounts_language(account: Account) -> None:
    account.language = "de"
    account.name = "A & B"
    account.credit_limit = Decimal(1000)
    account.save()
    ledger.adjust(account, Decimal("-1050.5"))
    low_balance.sweep()
    [sent] = mail.outbox
    assert "A & B" in sent.subject
    assert "-950,500 EUR" in sent.body
    assert "49,500 EUR" in sent.body


def test_an_email_that_fails_is_logged_and_tried_again(
    account: Account,
    signals: list[Account],
    database_clock: DatabaseClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger.adjust(account, Decimal(-60))

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise smtplib.SMTPServerDisconnected("The mail server is down.")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(mail.EmailMessage, "send", refuse)
        low_balance.sweep()
    assert "The mail server is down." in caplog.text

    database_clock.shift(FIRST_RETRY - timedelta(seconds=1))
    low_balance.sweep()
    assert mail.outbox == []
    database_clock.shift(timedelta(seconds=1))
    low_balance.sweep()
    low_balance.sweep()
    assert len(mail.outbox) == len(signals) == 1


def test_no_email_is_retried_once_the_balance_is_back(
    account: Account, database_clock: DatabaseClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.adjust(account, Decimal(-60))
    with monkeypatch.context() as patch:
        patch.setattr(mail.EmailMessage, "send", lambda message: 1 / 0)
        low_balance.sweep()
    ledger.top_up(account, Decimal(60))
    database_clock.shift(2 * FIRST_RETRY)
    low_balance.sweep()
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_of_many_switches_one_sends_it(account: Account, signals: list[Account]) -> None:
    ledger.adjust(account, Decimal(-60))
    together = threading.Barrier(6)
    errors: list[Exception] = []

    def switch() -> None:
        together.wait()
        try:
            low_balance.sweep()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=switch) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    low_balance.sweep()
    assert errors == []
    assert len(mail.outbox) == len(signals) == 1


def test_the_form_of_an_account_takes_addresses_and_a_language(customer: Customer) -> None:
    client = staff("view_account", "change_account")
    url = page(Account, "change", customer.account.pk)
    form = {
        "name": "ACME",
        "is_active": "on",
        "credit_limit": "0",
        "low_balance_at": "-5",
        "language": "he",
        "addresses-TOTAL_FORMS": "0",
        "addresses-INITIAL_FORMS": "0",
    }
    wrong = client.post(url, form | {"contact_emails": "a@example.com; b"})
    assert "Enter a valid email address." in wrong.content.decode()

    saved = client.post(url, form | {"contact_emails": "a@example.com,b@example.com"})
    assert saved.status_code == 302, saved.content.decode()
    customer.account.refresh_from_db()
    assert customer.account.contacts == ["a@example.com", "b@example.com"]
    assert (customer.account.language, customer.account.low_balance_at) == ("he", Decimal(-5))


def test_a_stale_copy_of_the_account_does_not_send_it_again(account: Account) -> None:
    stale = Account.objects.get(pk=account.pk)
    ledger.adjust(account, Decimal(-60))
    low_balance.sweep()
    stale.save()
    low_balance.sweep()
    assert len(mail.outbox) == 1
