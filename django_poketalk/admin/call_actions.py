"""What people may do with one call in the admin: hang up, settle it, block its numbers.

Each is a POST, is asked of `permissions`, done by `requesting` or the models, and logged.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _

from .. import permissions
from ..calls import requesting
from ..forms import SettleForm
from ..models import BlacklistedNumber, CallRequest, Placement
from ..shared.admin_urls import admin_url


class CallActions(admin.ModelAdmin):  # type: ignore[type-arg]
    """One call, and what can be done with it."""

    resolve_template = "poketalk/admin/resolve.html"

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                f"<int:pk>/{name.replace('_', '-')}/",
                self.admin_site.admin_view(view),
                name=f"poketalk_callrequest_{name}",
            )
            for name, view in (
                ("hang_up", self.hang_up_view),
                ("resolve", self.resolve_view),
                ("block", self.block_view),
            )
        ] + super().get_urls()

    def one_call_or_404(self, request: HttpRequest, object_id: Any) -> CallRequest:
        """The call with this id, for whoever may see it; `PermissionDenied` for others."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        call = self.get_object(request, str(object_id))
        if call is None:
            raise Http404
        if not self.has_view_permission(request, call):
            raise PermissionDenied
        return call

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> CallRequest | None:
        """The call and its people in one query."""
        people = CallRequest.objects.select_related("user", "hangup_requested_by")
        try:
            return people.filter(pk=CallRequest._meta.pk.to_python(object_id)).first()
        except ValidationError:
            return None

    def hang_up_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """End the call, wherever it stands."""
        call = self.one_call_or_404(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not permissions.may_hang_up(request.user, call):
            raise PermissionDenied
        if call.is_open and requesting.hang_up(call, request.user):
            self.log_change(request, call, "Asked to hang up.")
            self.message_user(request, _("The call is being ended."), messages.SUCCESS)
        else:
            said = _("This call has already ended or is ending.")
            self.message_user(request, said, messages.WARNING)
        return self._back(call)

    def resolve_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say by hand what became of a call of which the service gave no clear answer."""
        call = self.one_call_or_404(request, pk)
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        if not permissions.may_resolve(request.user):
            raise PermissionDenied
        if call.placement != Placement.UNKNOWN:
            return self._known_by_now(request, call)
        form = SettleForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            with transaction.atomic():
                settled = requesting.resolve(call, form.outcome, request.user)
                if settled:
                    self.log_change(request, call, form.log_message)
            if not settled:
                return self._known_by_now(request, call)
            self.message_user(
                request, _("Saved. A later event from the service overrides it."), messages.SUCCESS
            )
            return self._back(call)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Resolve this call manually"),
            "form": form,
            "call": call,
            "opts": self.opts,
            "back": admin_url(self.admin_site, "poketalk_callrequest_change", call.pk),
        }
        return TemplateResponse(request, self.resolve_template, context)

    def block_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Put one of the call's numbers on the blacklist, in the direction in which it was used."""
        call = self.one_call_or_404(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not permissions.may_keep_blacklist(request.user, "add"):
            raise PermissionDenied
        leg = request.POST.get("leg", "")
        number = {"from": call.from_number, "to": call.to_number}.get(leg, "")
        if not number:  # no such leg, or the number was forgotten
            raise Http404
        reason = " ".join(request.POST.get("reason", "").split())[:200]
        with transaction.atomic():
            entry = BlacklistedNumber.block(
                number, BlacklistedNumber.Direction(leg), reason, request.user
            )
            if entry is not None:
                self.log_addition(request, entry, f"Blocked from call {call.pk}.")
                self.log_change(request, call, f"Blocked the number it was {leg}.")
        if entry is None:
            self.message_user(
                request, _("That number is already on the blacklist."), messages.WARNING
            )
        else:
            self.message_user(request, self._blocked(request, entry), messages.SUCCESS)
        return self._back(call)

    def _known_by_now(self, request: HttpRequest, call: CallRequest) -> HttpResponse:
        said = _("The outcome of this call is known by now. There is nothing to resolve.")
        self.message_user(request, said, messages.WARNING)
        return self._back(call)

    def _back(self, call: CallRequest) -> HttpResponse:
        return redirect(admin_url(self.admin_site, "poketalk_callrequest_change", call.pk))

    def _blocked(self, request: HttpRequest, entry: BlacklistedNumber) -> str:
        link = admin_url(self.admin_site, "poketalk_blacklistednumber_change", entry.pk)
        if not link or not permissions.may_keep_blacklist(request.user, "view"):
            return _("The number was added to the blacklist.")
        return format_html(
            '{} <a href="{}">{}</a>',
            _("The number was added to the blacklist."),
            link,
            _("View entry"),
        )
