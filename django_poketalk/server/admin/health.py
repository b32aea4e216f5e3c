"""The health of the service, as a page for people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared.admin_pages import render_page
from django_poketalk.shared.doctor.page import checks_context

from .. import health
from ..database.clock import database_now
from ..models import Switch
from .display import ReadOnly
from .gateway_states import badge

PROBLEMS: dict[str, str | Promise] = {
    "no_switch": _("No switch takes calls. Start one with manage.py poketalk_switch."),
    "no_gateway": _("No active gateway is up, so no phone can ring."),
    "queue_waits": _(
        "Calls wait too long in the queue: the switches are overloaded or not running."
    ),
    "leases_lapsed": _("A switch has lost calls, and no other switch has ended them yet."),
}


@admin.register(Switch)
class SwitchAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """The list of switches, which is the health page."""

    list_display = ("name", "version", "started_at", "seen_at", "live_calls")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The health page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = health.current_health(database_now())
        last = found.last_event
        context = {
            "title": _("Health"),
            "health": found,
            "has_just_sent": last and found.now - last < timedelta(minutes=1),
            "problems": [PROBLEMS[code] for code in found.problems],
            "switches": [(switch, switch.is_alive(found.now)) for switch in found.switches],
            "gateways": [(each, badge(each.is_up)) for each in found.gateways],
            "may_see_gateways": request.user.has_perm("poketalk_server.view_gateway"),
            "may_see_accounts": request.user.has_perm("poketalk_server.view_account"),
            **checks_context(request, "poketalk_server"),
            **(extra_context or {}),
        }
        return render_page(self, request, "admin/poketalk_server/health.html", context)
