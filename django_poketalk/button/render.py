"""Renders call buttons: their signed tokens, their texts, and the open call that a button shows.

After a reload, the button that placed a call shows it again. It is the button with the same number
and object as the user's open call, so the page does not have to store anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from ..calls import caller_phones, subjects
from ..calls.service_extensions import undialed
from ..conf import settings
from ..models import CallRequest, Phone
from ..presentation import call_status
from ..protocol import numbers
from . import signed_call

KEPT = "_poketalk_open_calls"
KEPT_PHONES = "_poketalk_phones"
MOST = 20  # the most open calls of one user that are searched
TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Look:
    """The appearance of a button: its text, its `size`, the page that the call's page links back
    to, and the id of its form, if that is elsewhere on the page.
    """

    label: str = ""
    size: str = ""
    back: str = ""
    form: str = ""


def context(
    request: HttpRequest,
    order: signed_call.Button,
    number: str,
    about: models.Model | None,
    look: Look,
) -> dict[str, Any]:
    """The context of the button's template. `number` is the number that would be called now, in any
    format; `about` is the object that the call would be about.

    All buttons of a page share one query.
    """
    user: Any = request.user
    back = look.back or request.get_full_path()
    reading = _reading(number)
    call = _open_call(request, reading, about)
    live = None if call is None else call_status.serialize_with_links(call, user, back)
    label = look.label or _("Call")
    return {
        "token": signed_call.sign(order, user),
        "label": label,
        "hint": undialed(reading.extension) if reading else "",
        "size": look.size,
        "form": look.form,
        "callee": str(about) if about else "",
        "back": back,
        "phones": [] if look.form else phones(request)[1:],
        "live": live,
        "live_json": json.dumps(live, ensure_ascii=False) if live else "",
        TEXTS: texts(),
    }


def phones(request: HttpRequest) -> list[Phone]:
    """The user's phones to choose from, the default one first (`caller_phones.choice`). All buttons
    of a page share one query.
    """
    kept: list[Phone] | None = getattr(request, KEPT_PHONES, None)
    if kept is None:
        kept = caller_phones.choice(Phone.objects.for_user(request.user))
        setattr(request, KEPT_PHONES, kept)
    return kept


def texts() -> str:
    """The texts that the script displays without a response from this site, as JSON."""
    return json.dumps(
        {
            "calling": _("Calling your phone …"),
            "ending": _("Hanging up …"),
            "no_answer": _(
                "This site did not answer, so the phones may or may not ring. Press again to"
                " check: it stays the same call."
            ),
            "lost": _("No connection to this site. Trying again …"),
            "stale": _("This page is out of date. Reload it and try again."),
        },
        ensure_ascii=False,
    )


def _reading(number: str) -> numbers.Reading | None:
    try:
        return numbers.read(number, settings.default_region)
    except numbers.InvalidNumber:
        return None


def _open_call(
    request: HttpRequest, reading: numbers.Reading | None, about: models.Model | None
) -> CallRequest | None:
    """The user's open call that this button displays. Each call is only shown by the first matching
    button of a page.
    """
    waiting = _open_calls(request)
    if not waiting or reading is None:
        return None
    about_type = ContentType.objects.get_for_model(about).pk if about else None
    about_id = str(about.pk) if about else ""
    for call in waiting:
        if (call.to_number, call.to_extension, call.subject_type_id, call.subject_id) == (
            reading.e164,
            reading.extension,
            about_type,
            about_id,
        ):
            waiting.remove(call)
            subjects.remember(call, about)
            return call
    return None


def _open_calls(request: HttpRequest) -> list[CallRequest]:
    """The user's open calls, newest first, that no button of this page shows yet. Scheduled calls
    are left out, because no button placed them.
    """
    kept: list[CallRequest] | None = getattr(request, KEPT, None)
    if kept is None:
        user: Any = request.user
        begun = Q(not_before__lte=timezone.now()) | Q(attempts__gt=0)
        kept = list(CallRequest.objects.open().filter(begun, user=user).order_by("-id")[:MOST])
        setattr(request, KEPT, kept)
    return kept
