"""Who or what ended a call, as far as it is known, in a few words. Never a guess."""

from __future__ import annotations

from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from .. import permissions
from ..backends.base import BY_CALLEE, BY_CALLER
from ..calls.asking import DISCONNECTED
from ..events import vetoes
from ..models import CallRequest, Placement
from . import hangup_causes
from .people import full_name


def ended_by(call: CallRequest, user: Any) -> str:
    """Who ended the call, for this user, such as “Ended by you”. For a phone that was not reached,
    why, if the service said so. "" if it is open, if it was never placed, or if nobody knows.
    """
    if call.is_open or call.placement == Placement.REJECTED:
        return ""
    if call.placement == Placement.CANCELLED:
        return _by(call.hangup_requested_by, user, _("Canceled by you"), _("Canceled by %(name)s"))
    if call.status not in DISCONNECTED:
        return capfirst(hangup_causes.in_words(call))
    if call.hangup_cause == BY_CALLEE:
        if call.subject is None:
            return _("Ended by the callee")
        return _("Ended by %(name)s") % {"name": call.subject}
    if call.hangup_cause == BY_CALLER:
        return _ended(call.user, user) or _("Ended by the caller")
    if call.veto_reason and call.veto_reason != vetoes.HANG_UP:
        whole = permissions.may_see_numbers(user, call)
        reason = permissions.display_text(call.veto_reason, whole)
        return _("Ended by this site: %(reason)s") % {"reason": hangup_causes.veto_in_words(reason)}
    if call.hangup_requested_at is not None:
        by = call.hangup_requested_by
        if call.veto_reason or call.hangup_cause == hangup_causes.ON_REQUEST:
            return _ended(by, user) or _("Ended on request")
        yours, others = _("Hang-up requested by you"), _("Hang-up requested by %(name)s")
        return _by(by, user, yours, others) or _("Hang-up requested")
    cause = hangup_causes.in_words(call)
    return _("Ended by the service: %(cause)s") % {"cause": cause} if cause else ""


def _ended(person: Any, user: Any) -> str:
    return _by(person, user, _("Ended by you"), _("Ended by %(name)s"))


def _by(person: Any, user: Any, yours: str, others: str) -> str:
    """Who did it, for this user. "" if nobody is known."""
    if person is None:
        return ""
    return yours if person == user else others % {"name": full_name(person)}
