"""What a page asks for when a call has ended: its result, a note and a call back."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse

from ..calls import call_backs
from ..conf import settings
from ..models import CallRequest


def choices() -> list[tuple[str, str]]:
    """The results to choose from: key and label."""
    return [(key, str(label)) for key, label in (settings.dispositions or {}).items()]


def request_for(call: CallRequest, user: Any) -> dict[str, str] | None:
    """Where the script of the button gets the questions (`url`), and the module that asks them
    (`script`). None if there is nothing to ask: for calls of others, before a call's end, if no
    phone rang, or if a result was chosen.
    """
    if call.is_open or call.user_id is None or call.user_id != user.pk or call.status is None:
        return None
    if settings.dispositions:
        row = call.wrapped_up
        is_asked = row is None or not row.disposition
    else:
        is_asked = call_backs.may_try_again(call, user)
    return link_to(call) if is_asked else None


def link_to(call: CallRequest) -> dict[str, str]:
    """The questions about this call, for the script."""
    return {
        "url": reverse("poketalk:wrap-up", args=[call.pk]),
        "script": static("poketalk/wrap_up.js"),
    }
