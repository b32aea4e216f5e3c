"""The health of the caller's side, as a page for people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..models import CallRequest, Heartbeat
from ..shared.admin_pages import render_page
from ..shared.doctor.page import checks_context
from ..shared.moment_fields import MomentFields

MOST = 1000  # waiting calls that are counted


@admin.register(Heartbeat)
class HeartbeatAdmin(MomentFields, admin.ModelAdmin):  # type: ignore[type-arg]
    """The list of heartbeats, which is the health page."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The health page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = timezone.now()
        sweep = Heartbeat.objects.filter(name=Heartbeat.SWEEP).first()
        context = {
            "title": _("Health"),
            "now": now,
            "sweep": sweep,
            "has_just_swept": sweep and now - sweep.seen_at < timedelta(minutes=1),
            "waiting": CallRequest.objects.due(now)[:MOST].count(),
            **checks_context(request, "poketalk"),
            **(extra_context or {}),
        }
        return render_page(self, request, "poketalk/admin/health.html", context)
