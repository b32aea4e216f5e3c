"""Warns when the balance of an account is low: by a signal and an e-mail, once.

An account is armed while `low_balance_since` is None. The sweep that sets it, by a compare-and-set,
sends the signal; the e-mail is sent by whoever moves its due time on. A booking that brings the
balance back arms the account again in the ledger's own transaction, so that no fall is missed.
Charges know nothing of this, so they neither wait for a mail server nor fail with it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings as project
from django.core.mail import EmailMessage
from django.db.models import F, Q
from django.template.loader import render_to_string
from django.utils import translation

from django_poketalk.shared.logs import get_logger

from ..database.clock import DatabaseNow, database_now
from ..models import Account
from ..models.accounts import WARNING
from ..signals import balance_low

logger = get_logger(__name__)

# Before an e-mail is tried again: as long as the balance has been low, within these limits. The
# shorter one is also how long a switch may take to send it, before another one tries.
FIRST_RETRY, LAST_RETRY = timedelta(minutes=5), timedelta(hours=1)

IS_LOW = Q(is_active=True, balance__lt=F("low_balance_at"))


def sweep() -> None:
    """Warn the accounts whose balance has become low. Any number of processes may do so at once;
    not in a transaction, as others must see what is being sent.
    """
    _arm()
    low = Account.objects.filter(IS_LOW, low_balance_since=None)
    for account in low.values_list("pk", flat=True):
        _notice(account)
    due = Account.objects.filter(low_balance_mail_due_at__lte=DatabaseNow())
    for account, due_at in due.values_list("pk", "low_balance_mail_due_at"):
        _mail(account, due_at)


def _arm() -> None:
    """Arm accounts whose threshold was lowered or removed. Bookings arm accounts themselves."""
    back = Account.objects.filter(low_balance_since__isnull=False).filter(
        Q(low_balance_at=None) | Q(balance__gte=F("low_balance_at"))
    )
    if back.exists():  # so that SQLite's only write lock is not taken without need
        back.update(**dict.fromkeys(WARNING))


def _notice(pk: int) -> None:
    """Send the signal, unless another process does."""
    now = database_now()
    armed = Account.objects.filter(IS_LOW, pk=pk, low_balance_since=None)
    if armed.update(low_balance_since=now, low_balance_mail_due_at=now):
        account = Account.objects.get(pk=pk)
        logger.warning(
            "Account %s (%s) has a low balance: %s %s.",
            pk,
            account,
            account.balance,
            account.currency,
        )
        balance_low.send_robust(Account, account=account)


def _mail(pk: int, due_at: datetime | None) -> None:
    """Send the e-mail that is due, unless another process does, and try again later if it fails."""
    now = database_now()
    since = Account.objects.values_list("low_balance_since", flat=True).get(pk=pk) or now
    retry_at = now + min(max(now - since, FIRST_RETRY), LAST_RETRY)
    ours = Account.objects.filter(pk=pk, low_balance_mail_due_at=due_at)
    if not ours.update(low_balance_mail_due_at=retry_at):
        return
    account = Account.objects.get(pk=pk)
    try:
        if account.contacts and account.is_low:
            message(account).send()
    except Exception as error:  # of any e-mail backend
        logger.error(
            "The e-mail about the low balance of account %s (%s) was not sent, and is tried again"
            " at %s: %s",
            pk,
            account,
            f"{retry_at:%Y-%m-%d %H:%M:%S} UTC",
            error,
        )
        return
    sent = Account.objects.filter(pk=pk, low_balance_mail_due_at=retry_at)
    sent.update(low_balance_mail_due_at=None)


def message(account: Account) -> EmailMessage:
    """The e-mail about the account's low balance, in its language."""
    context = {"account": account, "funds": account.balance + account.credit_limit}
    with translation.override(account.language or project.LANGUAGE_CODE):
        subject = render_to_string("poketalk_server/email/low_balance_subject.txt", context)
        body = render_to_string("poketalk_server/email/low_balance.txt", context)
    return EmailMessage(
        subject=" ".join(subject.split()),
        body=body,
        to=account.contacts,
        headers={"Auto-Submitted": "auto-generated"},
    )
