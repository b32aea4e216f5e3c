"""The health of the service: a page for people, and JSON for monitoring tools."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared.admin_pages import render_page

from .. import health
from ..database.clock import database_now
from ..models import Switch
from .display import ReadOnly

PROBLEMS: dict[str, str | Promise] = {
    "no_switch": _("No switch is running. Start one with manage.py poketalk_switch."),
    "no_gateway": _("No gateway is active, so no phone can ring."),
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
        """The health page or, with `format=json`, its data: HTTP 503 if there are problems."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = health.current_health(database_now())
        if request.GET.get("format") == "json":
            return JsonResponse(found.as_json(), status=503 if found.problems else 200)
        context = {
            "title": _("Health"),
            "health": found,
            "problems": [PROBLEMS[code] for code in found.problems],
            "switches": [(switch, switch.is_alive(found.now)) for switch in found.switches],
            "may_see_accounts": request.user.has_perm("poketalk_server.view_account"),
            **(extra_context or {}),
        }
        return render_page(self, request, "admin/poketalk_server/health.html", context)
