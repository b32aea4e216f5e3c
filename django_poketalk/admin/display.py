"""The state and the numbers of calls, for display in the admin."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..models import CallRequest
from ..presentation import call_status

Column = Callable[[CallRequest], str]


def pill(call: CallRequest) -> str:
    """The state of the call, in the color of its phase. Its style is in `admin.css`."""
    return format_html(
        '<span class="poketalk-pill" data-phase="{}">{}</span>',
        call_status.phase(call),
        state(call),
    )


def state(call: CallRequest) -> str:
    """The state of the call in words, or that it is being hung up."""
    return gettext("Hanging up") if call_status.phase(call) == "ending" else capfirst(call.state)


def number_columns(request: HttpRequest) -> list[Column]:
    """The columns of both numbers, masked if the user may not see them."""

    @admin.display(description=_("from"))
    def caller(call: CallRequest) -> str:
        return _display_number(request, call, call.from_number)

    @admin.display(description=_("to"))
    def callee(call: CallRequest) -> str:
        return _display_number(request, call, call.to_number)

    return [caller, callee]


def _display_number(request: HttpRequest, call: CallRequest, number: str) -> str:
    text = permissions.display_number(number, permissions.may_see_numbers(request.user, call))
    # On one line, and from left to right in any language.
    return format_html('<bdi dir="ltr">{}</bdi>', text.replace(" ", "\N{NO-BREAK SPACE}"))
