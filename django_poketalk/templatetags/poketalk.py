"""`{% load poketalk %}`: the call button, the calls about an object, and how calls are written."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from django import template
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from .. import button, permissions, subjects

register = template.Library()

SIZES = ("", "small", "large")


@register.inclusion_tag("poketalk/call_button.html", takes_context=True)
def call_button(
    context: template.Context,
    callee: Any,
    *,
    field: str = "",
    label: str = "",
    size: str = "",
    subject: Any = None,
    max_duration: Any = None,
    max_debit: Any = None,
    back: str = "",
) -> dict[str, Any]:
    """A button that calls a number.

    Of a number: `{% call_button contact.phone %}`, or of an object's field:
    `{% call_button contact field="phone" %}`.

    With an object and its field, the page does not tell the number: it is read when the button is
    pressed, and the object becomes the call's `subject` unless another one is given. `label` is the
    button's text, `size` is `small` or `large`, `max_duration` (seconds) and `max_debit` (money)
    end the call earlier than the settings would, `back` is where the call's page links back to (by
    default this page). Renders nothing where there is no number, and for users who may not place
    calls.

    A form, which works as it is; where the module `poketalk/call.js` is loaded, the element around
    it shows the call in place.

    The button belongs to the user it was rendered for: keep it out of fragments that are cached for
    everybody.
    """
    request = _request(context, "call_button")
    user = getattr(request, "user", None)
    if user is None or not permissions.may_place(user):
        return {}
    source, number = _target(callee, field)
    order = button.Button(
        nonce=button.new_nonce(),
        number="" if source else number,
        source=button.Reference.to(source) if source else None,
        field=field,
        subject=_reference(subject),
        max_duration=_seconds(max_duration),
        max_debit=_money(max_debit),
    )
    if not number:
        return {}
    about = subject or source
    return {
        "token": button.sign(order, user),
        "label": label or _("Call"),
        "size": _size(size),
        "texts": json.dumps(_texts(), ensure_ascii=False),
        "callee": str(about) if about else "",
        "back": back or request.get_full_path(),
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("poketalk/call_history.html", takes_context=True)
def call_history(context: template.Context, subject: Any, *, limit: int = 10) -> dict[str, Any]:
    """The newest calls about an object, `limit` of them: `{% call_history contact %}`.

    Those that the user may see: their own, or with the permission `poketalk.view_callrequest`
    everybody's. Each leads to its page. Renders nothing without an object, and for visitors who are
    not logged in.
    """
    request = _request(context, "call_history")
    user = getattr(request, "user", None)
    if subject is None or subject == "" or user is None or user.pk is None:
        return {}
    if not isinstance(subject, Model):
        raise template.TemplateSyntaxError(
            f"call_history needs an object, not a {type(subject).__name__}."
        )
    calls = subjects.calls_about(subject, permissions.visible_calls(user))
    return {
        "wanted": True,
        "calls": calls.select_related("user")[:limit],
        "back": request.get_full_path(),
    }


@register.filter
def clock(seconds: int | None) -> str:
    """Seconds as people read them on a phone: 75 → `1:15`, 3675 → `1:01:15`."""
    minutes, rest = divmod(seconds or 0, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _request(context: template.Context, tag: str) -> HttpRequest:
    request = context.get("request")
    if not isinstance(request, HttpRequest):
        raise template.TemplateSyntaxError(
            f"{tag} needs the request: render with it, and with the context processor "
            "django.template.context_processors.request."
        )
    return request


def _texts() -> dict[str, str]:
    """What the script says while it has no answer of this site."""
    return {
        "calling": _("Calling your phone …"),
        "ending": _("Hanging up …"),
        "no_answer": _(
            "No answer came from this site, so the phones may ring or not. Press again to see: it"
            " stays the same call."
        ),
        "lost": _("No connection to this site. Trying again …"),
        "stale": _("This page is out of date. Reload it and try again."),
    }


def _size(size: str) -> str:
    if size not in SIZES:
        raise template.TemplateSyntaxError(
            f'call_button: size must be "small" or "large", not {size!r}.'
        )
    return size


def _target(callee: Any, field: str) -> tuple[Model | None, str]:
    """The object whose field is called, or None, and the number as it is stored now."""
    if callee is None or callee == "":
        return None, ""
    if not field:
        if isinstance(callee, Model):
            raise template.TemplateSyntaxError(
                f'call_button: which field of {callee._meta.label} is the number? Add field="...".'
            )
        return None, str(callee).strip()
    if not isinstance(callee, Model):
        raise template.TemplateSyntaxError(
            f"call_button: field={field!r} needs an object, not a {type(callee).__name__}."
        )
    number = button.read_field(callee, field)
    return (callee, number) if callee.pk is not None else (None, "")


def _reference(subject: Any) -> button.Reference | None:
    if subject is None or subject == "":
        return None
    if not isinstance(subject, Model):
        raise template.TemplateSyntaxError(
            f"call_button: subject must be an object, not a {type(subject).__name__}."
        )
    return button.Reference.to(subject)


def _seconds(value: Any) -> int | None:
    if value is None or value == "":
        return None
    try:
        seconds = int(value)
    except (TypeError, ValueError):
        seconds = 0
    if seconds < 1:
        raise template.TemplateSyntaxError(
            f"call_button: max_duration must be whole seconds above zero, not {value!r}."
        )
    return seconds


def _money(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        money = Decimal(str(value))
    except InvalidOperation:
        money = Decimal(0)
    if not money.is_finite() or money <= 0:
        raise template.TemplateSyntaxError(
            f"call_button: max_debit must be an amount above zero, not {value!r}."
        )
    return money
