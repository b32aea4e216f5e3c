"""The newest calls about an object. Pages request them again when a call starts or ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db import models

from .. import permissions
from ..calls import subjects
from ..presentation import wrap_up
from ..presentation.people import full_name

SALT = "django_poketalk.call_history"


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of calls: the object that they are about, as its model's label and its primary key as
    text, and how many at most.
    """

    model: str
    pk: str
    limit: int


def sign(subject: models.Model, limit: int) -> str:
    """The list as text, signed so that nobody can ask for the calls about other objects."""
    order = [subject._meta.label_lower, str(subject.pk), limit]
    return signing.dumps(order, salt=SALT, compress=True)


def read(signed: str) -> Listed:
    """The list that was signed. Raises `BadSignature` if it was altered."""
    model, pk, limit = signing.loads(signed, salt=SALT)
    return Listed(model, pk, limit)


def context(user: Any, listed: Listed, back: str) -> dict[str, Any]:
    """The context of the table: the calls that this user may see, newest first."""
    subject = subjects.find(listed.model, listed.pk)
    if subject is None:
        return {"calls": [], "back": back}
    return {**calls_about(user, subject, listed.limit), "back": back}


def calls_about(user: Any, subject: models.Model, limit: int) -> dict[str, Any]:
    """The calls about this object that this user may see, newest first, for the table."""
    calls = subjects.calls_about(subject, permissions.visible_calls(user))
    found = list(calls.select_related("user", "wrap_up")[:limit])
    for call in found:
        row, whole = call.wrapped_up, permissions.may_see_numbers(user, call)
        call.__dict__["requested_by"] = full_name(call.user)
        call.__dict__["note"] = permissions.display_text(row.note, whole) if row else ""
    return {"calls": found, "results": bool(wrap_up.choices())}
