"""Holds and charges, as made by admissions and switches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from django.db import transaction

from django_poketalk.server.billing import ledger
from django_poketalk.server.billing.ledger import LedgerBatch
from django_poketalk.server.database import bulk_sql
from django_poketalk.server.models import Call


def queue(call: Call, amount: Decimal) -> bool:
    """Insert the call with its first hold, as admission does."""
    with transaction.atomic():
        return ledger.queue(call, ledger.lock(call.account_id), amount)


@contextmanager
def ledger_batch(*calls: Call) -> Iterator[LedgerBatch]:
    """A batch of calls of one account, with their current fences, as in a switch."""
    with transaction.atomic():
        batch = LedgerBatch({call.pk: call.fence for call in calls})
        yield batch
        changed, bookings = batch.close()
        bulk_sql.execute(bookings)
        for pk, columns in changed.items():
            Call.objects.filter(pk=pk).update(**columns)


def extend(call: Call, amount: Decimal) -> Decimal:
    """Raise the call's hold, as at a tick, and return the new hold."""
    with ledger_batch(call) as batch:
        return batch.extend(call.pk, amount)


def charge(call: Call, a_cost: Decimal, b_cost: Decimal) -> None:
    """Charge the call, as at its end."""
    with ledger_batch(call) as batch:
        batch.charge(call.pk, a_cost, b_cost)
