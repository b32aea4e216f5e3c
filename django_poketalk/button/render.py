"""A button as a page draws it: its signed order, its words, and the call that it shows already.

After a reload, the button that made a call shows it again. Which one that is, is found without a
trace in the page: the user's open call to the same number, about the same object.
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

from ..calls import subjects
from ..conf import settings
from ..models import CallRequest
from ..presentation import call_status
from ..protocol import numbers
from . import signed_call

KEPT = "_poketalk_open_calls"
MOST = 20  # open calls of one user that are looked through
TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Look:
    """How a button is shown: its text, its `size`, where the call's page leads back to, and the id
    of the form that it belongs to when it has none of its own.
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
    """What the button's template wants. `number` is what would be called now, however it is
    written; `about` the object that the call would be about.

    One query for all buttons of a page.
    """
    user: Any = request.user
    back = look.back or request.get_full_path()
    call = _open_call(request, number, about)
    told = None if call is None else call_status.serialize_with_links(call, user, back)
    label = look.label or _("Call")
    return {
        "token": signed_call.sign(order, user),
        "label": label,
        "size": look.size,
        "form": look.form,
        "callee": str(about) if about else "",
        "back": back,
        "live": told,
        "live_json": json.dumps(told, ensure_ascii=False) if told else "",
        TEXTS: texts(),
    }


def texts() -> str:
    """What the script says while it has no answer of this site, as JSON."""
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


def _open_call(request: HttpRequest, number: str, about: models.Model | None) -> CallRequest | None:
    """The user's open call that this button shows. Each is shown by one button of a page: the
    first.
    """
    waiting = _open_calls(request)
    if not waiting:
        return None
    try:
        wanted = numbers.normalize(number, settings.default_region)
    except numbers.InvalidNumber:
        return None
    about_type = ContentType.objects.get_for_model(about).pk if about else None
    about_id = str(about.pk) if about else ""
    for call in waiting:
        if (call.to_number, call.subject_type_id, call.subject_id) == (
            wanted,
            about_type,
            about_id,
        ):
            waiting.remove(call)
            subjects.remember(call, about)
            return call
    return None


def _open_calls(request: HttpRequest) -> list[CallRequest]:
    """The user's open calls, newest first, that no button of this page shows yet. Those that wait
    for a later time are none that somebody has just pressed for.
    """
    kept: list[CallRequest] | None = getattr(request, KEPT, None)
    if kept is None:
        user: Any = request.user
        begun = Q(not_before__lte=timezone.now()) | Q(attempts__gt=0)
        kept = list(CallRequest.objects.open().filter(begun, user=user).order_by("-id")[:MOST])
        setattr(request, KEPT, kept)
    return kept
