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
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from .. import permissions
from ..calls import caller_phones, services, subjects
from ..calls.service_extensions import undialed
from ..conf import settings
from ..models import CallRequest, Phone
from ..presentation import call_status
from ..protocol import numbers
from . import signed_call

KEPT = "_poketalk_open_calls"
KEPT_WAITING = "_poketalk_calls_without_button"
KEPT_PHONES = "_poketalk_phones"
MOST = 20  # the most live calls of one user that are searched
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
    reading = _reading(number, services.region_for(user, about))
    call = _open_call(request, reading, about)
    live = None if call is None else call_status.serialize_with_links(call, user, back)
    label = look.label or _("Call")
    return {
        "token": signed_call.sign(order, user),
        "label": label,
        "hint": _hint(user, reading, about) if reading else "",
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
    return caller_phones.choice(own_phones(request))


def own_phones(request: HttpRequest) -> list[Phone]:
    """The user's phones, the default one first."""
    kept: list[Phone] | None = getattr(request, KEPT_PHONES, None)
    if kept is None:
        kept = list(Phone.objects.for_user(request.user))
        setattr(request, KEPT_PHONES, kept)
    return kept


def tel_link(user: Any, number: str, about: models.Model | None, look: Look) -> dict[str, Any]:
    """The context of the button's template for a `tel:` link, which the user's own device calls.
    Empty if the number cannot be read.
    """
    reading = _reading(number, services.region_for(user, about))
    if reading is None:
        return {}
    extension = f";ext={reading.extension}" if reading.extension else ""
    return {
        "tel": f"tel:{reading.e164}{extension}",
        "label": look.label or _("Call"),
        "size": look.size,
        "callee": str(about) if about else "",
    }


def texts() -> str:
    """The texts that the script displays without a response from this site, as JSON, with how many
    calls a user may have at a time, and the URL of those that are open.
    """
    return json.dumps(
        {
            "calling": _("Requesting the call …"),
            "ending": _("Hanging up …"),
            "next_report": _("next report in {seconds} s"),
            "no_answer": _(
                "This site did not answer, so the phones may or may not ring. Press again to"
                " check: it stays the same call."
            ),
            "lost": _("No connection to this site. Trying again …"),
            "stale": _("This page is out of date. Reload it and try again."),
            "busy": _("You already have a call in progress."),
            "view": _("View that call"),
            "most": settings.live_calls_per_user,
            "current": reverse("poketalk:current"),
        },
        ensure_ascii=False,
    )


def _reading(number: str, region: str | None) -> numbers.Reading | None:
    try:
        return numbers.read(number, region)
    except numbers.InvalidNumber:
        return None


def _hint(user: Any, reading: numbers.Reading, about: models.Model | None) -> str:
    """The notice before the button is pressed, or ""."""
    if not reading.extension:
        return ""
    call = CallRequest(user=user, to_number=reading.e164, to_extension=reading.extension)
    subjects.remember(call, about)
    call.service = services.choose(call)
    return undialed(call)


def _open_call(
    request: HttpRequest, reading: numbers.Reading | None, about: models.Model | None
) -> CallRequest | None:
    """The user's open call that this button displays. Each call is only shown by the first matching
    button of a page.
    """
    waiting = _without_button(request)
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


def open_calls(request: HttpRequest) -> list[CallRequest]:
    """The user's live calls, newest first. The buttons and the bar of a page share one query."""
    kept: list[CallRequest] | None = getattr(request, KEPT, None)
    if kept is None:
        user: Any = request.user
        kept = list(permissions.own_calls(user).live().order_by("-id")[:MOST])
        setattr(request, KEPT, kept)
    return kept


def _without_button(request: HttpRequest) -> list[CallRequest]:
    """The user's live calls that no button of this page shows yet."""
    waiting: list[CallRequest] | None = getattr(request, KEPT_WAITING, None)
    if waiting is None:
        waiting = list(open_calls(request))
        setattr(request, KEPT_WAITING, waiting)
    return waiting
