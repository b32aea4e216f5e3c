"""The rules for test calls. They are free of charge, so whoever may make them could call anything
at the operator's cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import connection
from django.utils.translation import gettext as _

from django_poketalk.protocol import numbers

from .billing import ledger, price_lookup
from .conf import settings
from .database.clock import database_now
from .models import BlacklistedNumber, Gateway, TestCall

HOUR = timedelta(hours=1)


def refusals(gateway: Gateway, number: str) -> Iterator[str]:
    """All reasons, as sentences, why this number (digits) may not be rung through this gateway.

    Call it in the transaction that adds the test call: others wait until its end, so that the
    limit is exact.
    """
    no_key = connection.features.has_select_for_no_key_update
    Gateway.objects.order_by("pk").select_for_update(no_key=no_key).first()
    recent = TestCall.objects.filter(created_at__gt=database_now() - HOUR)
    if recent.count() >= settings.test_calls_per_hour:
        yield _("Too many test calls in the last hour. Try again later.")
    yield from (sentence for _cause, sentence in _of_number(gateway, number))


def cause_against(gateway: Gateway, number: str) -> str:
    """Why this number may not be rung now that its turn has come: a hang-up cause, or ""."""
    return next((cause for cause, _sentence in _of_number(gateway, number)), "")


def _of_number(gateway: Gateway, number: str) -> Iterator[tuple[str, str]]:
    if numbers.is_internal(number):
        return
    if BlacklistedNumber.matches(None, number):
        yield "rejected", _("This number is on the blacklist.")
    if not price_lookup.is_priced(ledger.today(), number):
        yield "no_rate", _("No price list has a rate for this number.")
