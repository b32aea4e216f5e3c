"""Money as admissions and switches move it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from django.db import transaction

from django_poketalk.server.billing import ledger
from django_poketalk.server.billing.ledger import LedgerBatch
from django_poketalk.server.models import Call


def queue(call: Call, amount: Decimal) -> bool:
    """Insert the call with its first hold, as an admission does."""
    with transaction.atomic():
        return ledger.queue(call, ledger.lock(call.account_id), amount)


@contextmanager
def till(*calls: Call) -> Iterator[LedgerBatch]:
    """Calls of one account as a switch opens them, with the fences that it was given."""
    with transaction.atomic():
        opened = LedgerBatch({call.pk: call.fence for call in calls})
        yield opened
        opened.close()


def extend(call: Call, wanted: Decimal) -> Decimal:
    """Raise its hold, as at a tick; the hold then in force."""
    with till(call) as opened:
        return opened.extend(call.pk, wanted)


def charge(call: Call, a_cost: Decimal, b_cost: Decimal) -> None:
    """Charge it, as at its end."""
    with till(call) as opened:
        opened.charge(call.pk, a_cost, b_cost)
