"""The result that users must choose before their next call, if `WRAP_UP_REQUIRED`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import settings
from ..exceptions import CallRefused
from ..models import CallRequest
from ..models.final_figures import CONNECTED
from ..protocol import numbers
from ..shared.text import isolated
from . import subjects

REQUIRED_FOR = timedelta(hours=12)  # after the call's end


def refusals(call: CallRequest) -> Iterator[CallRefused]:
    """Of a call that its user places now, on any page or over the API, while the result of their
    last call is missing. A scheduled call rings by itself, and does not wait for anything.
    """
    if not call.requires_permission or call.is_scheduled:
        return
    last = missing(call.user)
    if last is not None:
        subjects.load([last])
        name = str(last.subject or numbers.display(last.to_number, last.to_extension))
        sentence = _("Choose the result of your call with %(name)s first.")
        yield CallRefused("wrap_up_missing", sentence % {"name": isolated(name)})


def missing(user: Any) -> CallRequest | None:
    """The call whose result this user must choose before the next call, if `WRAP_UP_REQUIRED`: the
    one that rang last, if both have talked and it ended in the last twelve hours. Older ones are
    not asked for, so nobody has to catch up.
    """
    required = settings.wrap_up_required and settings.dispositions
    if not required or user is None or user.pk is None:
        return None
    rang = CallRequest.objects.filter(user=user).exclude(status=None)
    latest = rang.select_related("wrap_up").order_by("-rings_at").first()
    if latest is None or latest.is_open or latest.status not in CONNECTED:
        return None
    ended = latest.ended_at or latest.stale_at
    if ended is None or timezone.now() - ended > REQUIRED_FOR:
        return None
    row = latest.wrapped_up
    return None if row is not None and row.disposition else latest
