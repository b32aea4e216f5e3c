"""The calls that blacklist entries would have refused, for display."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import reverse

from .. import permissions
from ..blacklist.matching import DAYS, Matches
from ..models import CallRequest
from ..shared.admin_pages import admin_url
from ..shared.moments import moment


def context(found: Matches, user: Any, page: admin.ModelAdmin[Any]) -> dict[str, Any]:
    """The context of `blacklist_matches.html`: numbers as this user may see them, and links to
    calls for users who may see them.
    """
    return {
        "count": found.count,
        "more": found.more,
        "days": DAYS,
        "counts_all_users": permissions.may_see_all(user) and permissions.may_see_numbers(user),
        "calls": [_call(call, user, page.admin_site) for call in found.calls],
    }


def _call(call: CallRequest, user: Any, site: admin.AdminSite) -> dict[str, Any]:
    whole = permissions.may_see_numbers(user, call)
    may_see_all = permissions.may_see_all(user)
    page = admin_url(site, "poketalk_callrequest_change", call.pk) if may_see_all else ""
    return {
        "at": moment(call.created_at),
        "from_number": permissions.display_number(call.from_number, whole),
        "to_number": permissions.display_callee(call, whole),
        "user": call.user.get_username() if call.user else "",
        "state": call.state,
        "link": page or reverse("poketalk:call", args=[call.pk]),
    }
