"""Exports or erases what the caller's side stores about one phone number."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from ..conf import settings
from ..models import (
    BlacklistedNumber,
    CallBack,
    CallEvent,
    CallMetadata,
    CallRequest,
    Phone,
    VerificationCode,
    WrapUp,
)
from ..models.call_totals import changing
from ..models.phones import is_allowed_internal
from ..models.states import IS_OPEN
from ..protocol import numbers
from ..shared import personal_data
from ..shared.logs import get_logger
from ..shared.personal_data import Erasure, StillCalling, batches
from .retention import mask_metadata, mask_texts_of

logger = get_logger(__name__)

TEXTS = ("response_detail", "veto_reason")


def read(number: Any) -> numbers.Reading:
    """The number and extension that this means, in any spelling, with `DEFAULT_REGION`; or the
    digits of an internal number that `INTERNAL_NUMBERS` allows. Raises `InvalidNumber`.
    """
    digits = numbers.clean(numbers.as_text(number)).strip()
    if is_allowed_internal(digits):
        return numbers.Reading(digits)
    return numbers.read(number, settings.default_region)


def export(number: Any) -> dict[str, Any]:
    """All rows about this number, by table: `name`, `fields` with their meaning, and `rows`.

    With an extension, only the calls to it. Numbers of others are masked, and so are all numbers in
    texts. Raises `InvalidNumber`.
    """
    person = read(number)
    calls = _calls(person)
    tables: dict[str, models.QuerySet[Any]] = {
        "poketalk.callrequest": calls | _mentions(CallRequest, person, *TEXTS),
        "poketalk.callevent": CallEvent.objects.filter(call__in=calls),
        "poketalk.callmetadata": CallMetadata.objects.filter(call__in=calls),
        "poketalk.wrapup": WrapUp.objects.filter(call__in=_calls_to(person))
        | _mentions(WrapUp, person, "note"),
        "poketalk.callback": _call_backs(person) | _mentions(CallBack, person, "note"),
    }
    if not person.extension:
        tables |= {
            "poketalk.phone": Phone.objects.filter(number=person.e164),
            "poketalk.verificationcode": VerificationCode.objects.filter(number=person.e164),
            "poketalk.blacklistednumber": _entries(person),
        }
    secret = ("idempotency_key", "digest")
    return {
        name: personal_data.table(rows, person.e164, leave_out=secret)
        for name, rows in tables.items()
    }


def erase(number: Any, user: Any = None) -> Erasure:
    """Erase this number from all calls, mask it in texts, and delete the notes about calls to it,
    and call backs, phones, verification codes and expired blacklist entries with it. With an
    extension, only from the calls to it.

    Blacklist entries in force are kept, because they protect the person from further calls. Raises
    `InvalidNumber`, and `StillCalling` if a call with the number has not ended or is scheduled. The
    admin's history says that `user` did it, but not the number.
    """
    person = read(number)
    calls = _calls(person)
    if waiting := list(calls.filter(IS_OPEN).values_list("pk", flat=True)[:10]):
        raise StillCalling(waiting)
    erased = {"calls": 0, "notes": 0}
    for batch in batches(calls.exclude(IS_OPEN)):  # not those requested meanwhile
        rows = CallRequest.objects.filter(pk__in=batch)
        notes = WrapUp.objects.filter(call__in=rows.filter(to_number=person.e164)).exclude(note="")
        erased["notes"] += notes.update(note="")
        mask_texts_of(rows)
        with changing(rows.values_list("created_at", flat=True)):
            rows.filter(to_number=person.e164).update(to_number="", to_extension="")
        if not person.extension:
            rows.filter(from_number=person.e164).update(from_number="")
            rows.filter(presented_number=person.e164).update(presented_number="")
        erased["calls"] += len(batch)
    erased["call backs"] = _call_backs(person).delete()[0]
    kept = {"calls in progress": calls.filter(IS_OPEN).count()}
    if not person.extension:
        entries, now = _entries(person), timezone.now()
        kept["blacklist entries in force"] = entries.exclude(until__lte=now).count()
        for name, found in {
            "phones": Phone.objects.filter(number=person.e164),
            "verification codes": VerificationCode.objects.filter(number=person.e164),
            "expired blacklist entries": entries.filter(until__lte=now),
        }.items():
            erased[name] = found.count()
            found.delete()
        erased["texts"] = _mask_texts(person)
    done = Erasure(erased, kept)
    logger.info("Erased one person's number from the caller's side: %s.", done)
    personal_data.record(CallRequest, f"Erased one person's number: {done}.", user)
    return done


def _calls(person: numbers.Reading) -> models.QuerySet[CallRequest]:
    found = Q(to_number=person.e164)
    if person.extension:
        return CallRequest.objects.filter(found, to_extension=person.extension)
    found |= Q(from_number=person.e164) | Q(presented_number=person.e164)
    return CallRequest.objects.filter(found)


def _calls_to(person: numbers.Reading) -> models.QuerySet[CallRequest]:
    """The calls whose notes are about this person: those to the number."""
    return _calls(person).filter(to_number=person.e164)


def _call_backs(person: numbers.Reading) -> models.QuerySet[CallBack]:
    found = CallBack.objects.filter(to_number=person.e164)
    return found.filter(to_extension=person.extension) if person.extension else found


def _entries(person: numbers.Reading) -> models.QuerySet[BlacklistedNumber]:
    return BlacklistedNumber.objects.filter(number=person.e164, is_prefix=False)


def _mentions(model: Any, person: numbers.Reading, *fields: str) -> models.QuerySet[Any]:
    """The rows with the number in these texts; none for an internal number or an extension."""
    found = Q(pk__in=[])
    if not person.extension and not numbers.is_internal(person.e164):
        for field in fields:
            found |= Q(**{f"{field}__regex": numbers.pattern_within(person.e164)})
    return model.objects.filter(found)  # type: ignore[no-any-return]


def _mask_texts(person: numbers.Reading) -> int:
    if numbers.is_internal(person.e164):
        return 0
    pattern = numbers.pattern_within(person.e164)
    texts = (
        (CallRequest, TEXTS),
        (CallEvent, ("reason",)),
        (BlacklistedNumber, ("reason",)),
        (WrapUp, ("note",)),
        (CallBack, ("note",)),
        (Phone, ("label",)),
    )
    masked = mask_metadata(CallMetadata.objects.all(), holding=pattern)
    masked += mask_metadata(CallBack.objects.all(), holding=pattern)
    masked += personal_data.mask_history("poketalk", holding=pattern)
    return masked + sum(
        personal_data.mask_texts(model._base_manager.all(), *fields, holding=pattern)
        for model, fields in texts
    )
