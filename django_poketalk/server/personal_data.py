"""Exports or erases what the service stores about one phone number."""

from __future__ import annotations

import re
from typing import Any

from django.db import models
from django.db.models import Q

from django_poketalk.protocol import numbers
from django_poketalk.shared import personal_data
from django_poketalk.shared.logs import get_logger
from django_poketalk.shared.personal_data import Erasure, StillCalling, batches

from .models import (
    ApiKey,
    BlacklistedNumber,
    Call,
    EventDelivery,
    GatewayState,
    LedgerEntry,
    Leg,
    PresentedNumber,
    TestCall,
)
from .retention import IS_OVER, mask_custom

logger = get_logger(__name__)


def read(number: Any) -> numbers.Reading:
    """The number, with its country code, and the extension that this means, in any spelling. Raises
    `InvalidNumber`, also for internal numbers: each account has its own.
    """
    return numbers.read(number)


def export(number: Any) -> dict[str, Any]:
    """All rows about this number, by table: `name`, `fields` with their meaning, and `rows`.

    With an extension, only the calls to it. Numbers of others are masked, and so are all numbers in
    texts; EventURLs are left out. Raises `InvalidNumber`.
    """
    person = read(number)
    digits, calls = numbers.wire(person.e164), _calls(person)
    tables: dict[str, models.QuerySet[Any]] = {
        "poketalk_server.call": calls,
        "poketalk_server.leg": Leg.objects.filter(call__in=calls),
        "poketalk_server.eventdelivery": EventDelivery.objects.filter(call__in=calls),
        "poketalk_server.ledgerentry": LedgerEntry.objects.filter(call__in=calls),
    }
    if not person.extension:
        tables |= {
            "poketalk_server.testcall": TestCall.objects.filter(number=digits),
            "poketalk_server.presentednumber": PresentedNumber.objects.filter(number=digits),
            "poketalk_server.blacklistednumber": _entries(digits),
        }
    secret = ("eventurl", "dialog", "idempotency_key")
    return {
        name: personal_data.table(rows, digits, leave_out=secret) for name, rows in tables.items()
    }


def erase(number: Any, user: Any = None) -> Erasure:
    """Erase this number from all calls, with their legs and EventURLs, and from test calls, and
    mask it in texts. With an extension, only from the calls to it.

    Amounts are kept, as evidence of charges; blacklist entries, because they protect the person
    from further calls; numbers that an account presents, because they are part of its contract.
    Raises `InvalidNumber`, and `StillCalling` if a call with the number, or its final event, is in
    progress. The admin's history says that `user` did it, but not the number.
    """
    person = read(number)
    digits, calls = numbers.wire(person.e164), _calls(person)
    if live := list(calls.exclude(IS_OVER).values_list("pk", flat=True)[:10]):
        raise StillCalling(live)
    erased = {"calls": 0}
    for batch in batches(calls.filter(IS_OVER)):  # not those admitted meanwhile
        rows = Call.objects.filter(pk__in=batch)
        mask_custom(batch)
        personal_data.mask_texts(EventDelivery.objects.filter(call__in=batch), "error")
        Leg.objects.filter(call__in=batch).update(dialog="")
        Leg.objects.filter(call__in=batch, number=digits).update(number="")
        rows.update(eventurl="")
        rows.filter(to_number=digits).update(to_number="", to_extension="")
        if not person.extension:
            rows.filter(from_number=digits).update(from_number="")
            rows.filter(presented_number=digits).update(presented_number="")
        erased["calls"] += len(batch)
    kept = {"calls in progress": calls.exclude(IS_OVER).count()}
    if not person.extension:
        ended = TestCall.objects.filter(number=digits, state=TestCall.State.ENDED)
        erased["test calls"] = ended.update(number="")
        erased["texts"] = _mask_texts(person.e164)
        kept["test calls in progress"] = TestCall.objects.filter(number=digits).count()
        kept["blacklist entries"] = _entries(digits).count()
        kept["presented numbers"] = PresentedNumber.objects.filter(number=digits).count()
    done = Erasure(erased, kept)
    logger.info("Erased one person's number from the service: %s.", done)
    personal_data.record(Call, f"Erased one person's number: {done}.", user)
    return done


def _calls(person: numbers.Reading) -> models.QuerySet[Call]:
    digits = numbers.wire(person.e164)
    found = Q(to_number=digits)
    if not person.extension:
        return Call.objects.filter(found | Q(from_number=digits) | Q(presented_number=digits))
    dialed = Call.objects.filter(found).exclude(to_extension="").values_list("pk", "to_extension")
    same = [pk for pk, text in dialed if re.sub("[^0-9]", "", text) == person.extension]
    return Call.objects.filter(pk__in=same)


def _entries(digits: str) -> models.QuerySet[BlacklistedNumber]:
    return BlacklistedNumber.objects.filter(number=digits, is_prefix=False)


def _mask_texts(e164: str) -> int:
    pattern = numbers.pattern_within(e164)
    texts = (
        (Call, "custom"),
        (EventDelivery, "error"),
        (LedgerEntry, "note"),
        (BlacklistedNumber, "reason"),
        (PresentedNumber, "label"),
        (ApiKey, "label"),
        (GatewayState, "problem"),
    )
    return personal_data.mask_history("poketalk_server", holding=pattern) + sum(
        personal_data.mask_texts(_over(model), field, holding=pattern) for model, field in texts
    )


def _over(model: Any) -> models.QuerySet[Any]:
    """The rows, without those of live calls, whose customer's id is needed unchanged."""
    return model.objects.filter(IS_OVER) if model is Call else model.objects.all()
