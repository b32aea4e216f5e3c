"""Calls in the project's own admin: `class ContactAdmin(CallsAdminMixin, admin.ModelAdmin)`.

The change page gets a button for each number of the object, and the calls about the object. The
list gets a column with the buttons. The project needs no template for this: our templates extend
the template that the admin would use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import label_for_field
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.forms.widgets import Script
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import permissions
from ..button import render, signed_call
from ..calls import subjects
from ..models import CallRequest
from ..shared.admin_pages import admin_url
from ..shared.changelist import count

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object

FORM = "poketalk-calls"  # a form outside the list, since the list is a form itself


class CallsAdminMixin(Base):
    """List it before `ModelAdmin` in the base classes. Users who may neither place nor watch calls
    see no difference.
    """

    call_fields: Sequence[str] = ("phone",)  # columns or properties with phone numbers
    call_column = True  # whether the list has a column with buttons
    call_history_limit = 10  # the most calls on the change page

    @property
    def media(self) -> forms.Media:
        return super().media + forms.Media(
            css={"all": ["poketalk/poketalk.css", "poketalk/admin_calls_panel.css"]},
            js=[Script("poketalk/call.js", type="module")],  # type: ignore[list-item]
        )

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if not self.call_column or _is_popup(request) or not permissions.may_place(request.user):
            return columns

        @admin.display(description=gettext_lazy("call"))
        def call(obj: Model) -> str:
            return self._buttons(request, obj)

        return [*columns, call]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        response: Any = super().changelist_view(request, extra_context)
        # An action may return a page of its own, without a list.
        if "cl" in (getattr(response, "context_data", None) or {}):
            _extend(response, "poketalk/admin/change_list.html", poketalk_form=FORM)
        return response

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        response = super().render_change_form(request, context, add, change, form_url, obj)
        if obj is None or _is_popup(request) or not permissions.may_see_calls(request.user):
            return response
        return _extend(
            response,
            "poketalk/admin/change_form.html",
            poketalk_object=obj,
            poketalk_fields=[(field, label) for field, label, _number in self._numbers(obj)],
            poketalk_limit=self.call_history_limit,
            **self._all_calls(request, obj),
        )

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """E010: `call_fields` contains a name that is neither a column nor a property."""
        found: list[checks.CheckMessage] = super().check(**kwargs)
        for field in self.call_fields:
            try:
                signed_call.check_field(self.model, field)
            except ImproperlyConfigured as error:
                found.append(
                    checks.Error(
                        f"The value of 'call_fields' is wrong: {error}",
                        obj=type(self),
                        id="poketalk.E010",
                    )
                )
        return found

    def _all_calls(self, request: HttpRequest, obj: Model) -> dict[str, Any]:
        """The URL of the list of all calls about the object, and how many they are, for users who
        may view that list.
        """
        site = self.admin_site
        if not site.is_registered(CallRequest):
            return {}
        calls: Any = site.get_model_admin(CallRequest)
        if not calls.has_view_permission(request):
            return {}
        query = urlencode({"about": f"{obj._meta.label_lower}/{obj.pk}"})
        return {
            "poketalk_calls": count(subjects.calls_about(obj, calls.get_queryset(request))),
            "poketalk_calls_url": f"{admin_url(site, 'poketalk_callrequest_changelist')}?{query}",
        }

    def _buttons(self, request: HttpRequest, obj: Model) -> SafeString:
        """The object's buttons in the list. Makes no query for each object."""
        if not permissions.may_call_about(request.user, obj):
            return SafeString("")
        back = request.get_full_path()
        buttons = []
        for field, label, number in self._numbers(obj):
            source = signed_call.Reference.to(obj)
            order = signed_call.Button(nonce=signed_call.new_nonce(), source=source, field=field)
            look = render.Look(label, "small", back, FORM)
            context = render.context(request, order, number, obj, look)
            buttons.append(render_to_string("poketalk/call_button.html", context))
        return mark_safe(" ".join(buttons))  # noqa: S308  # templates have escaped it

    def _numbers(self, obj: Model) -> Iterator[tuple[str, str, str]]:
        """The fields that contain a number: name, label, number. A single field has the label
        "Call".
        """
        filled = [
            (field, number)
            for field in self.call_fields
            if (number := signed_call.read_field(obj, field))
        ]
        for field, number in filled:
            yield field, self._label(field) if len(filled) > 1 else _("Call"), number

    def _label(self, field: str) -> str:
        name = label_for_field(field, self.model, self)
        return _("Call %(field)s") % {"field": name}


def _extend(response: Any, template: str, **context: Any) -> HttpResponseBase:
    """Render the response with our template, which extends the template that it had."""
    if isinstance(response, TemplateResponse) and not response.is_rendered:
        context["poketalk_page"] = response.resolve_template(response.template_name)
        response.context_data = {**(response.context_data or {}), **context}
        response.template_name = template
    return response  # type: ignore[no-any-return]


def _is_popup(request: HttpRequest) -> bool:
    return IS_POPUP_VAR in request.GET or IS_POPUP_VAR in request.POST
