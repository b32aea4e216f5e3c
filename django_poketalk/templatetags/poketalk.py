"""`{% load poketalk %}`: call buttons, call backs, the calls about an object, the bar and the live
board, and filters for times, durations and costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from django import template
from django.db.models import Model
from django.http import HttpRequest
from django.template.defaultfilters import floatformat
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import mark_safe

from .. import permissions
from ..button import call_bar as bar
from ..button import call_history as history
from ..button import number_linker, render, signed_call
from ..calls.currencies import currency_of
from ..forms import LaterForm
from ..models import CallBack, CallRequest
from ..models.metadata import clean_metadata
from ..presentation import live_board as board
from ..presentation.call_status import with_way_back
from ..protocol import numbers
from ..shared.moments import clock, moment, moment_cell, moment_with_zone

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
    metadata: Any = None,
    max_duration: Any = None,
    max_cost: Any = None,
    back: str = "",
    form: str = "",
    tel: bool = False,
) -> dict[str, Any]:
    """A button that calls a number.

    Pass a number, `{% call_button contact.phone %}`, or an object and the name of its field,
    `{% call_button contact field="phone" %}`.

    With an object and a field, the page does not contain the number. It is read when the button is
    pressed, and the object becomes the call's `subject`, unless you pass another one. `metadata` is
    a dict of your own, which the call keeps, such as the deal that it is about; it is signed, but
    people can read it in the page. `label` is the button's text. `size` is `small` or `large`.
    `max_duration` (seconds) and `max_cost` (money) end the call earlier than the settings would.
    `back` is the page that the call's page links back to, by default the current one. Renders
    nothing without a number, or for users who may not place calls about the object
    (`permissions.may_call_about`).

    With `tel=True`, users who have no phone of their own yet, or may not place calls, get a `tel:`
    link instead, which the device at hand calls. The page contains the number then.

    The button is a form, which works without JavaScript. If the page loads the module
    `poketalk/call.js`, the element around the form shows the call in place. Forms cannot be nested.
    Inside another form, use `form="calls"`, and put `{% call_form "calls" %}` outside of it.

    The button only works for the user for whom it was rendered, so do not cache it for other users.
    """
    request = _request(context, "call_button")
    user = getattr(request, "user", None)
    if user is None:
        return {}
    may_place = permissions.may_place(user)
    if not may_place and not (tel and user.is_authenticated):
        return {}
    source, number = _target(callee, field)
    order = signed_call.Button(
        nonce=signed_call.new_nonce(),
        number="" if source else number,
        source=signed_call.Reference.to(source) if source else None,
        field=field,
        subject=_reference(subject),
        metadata=_metadata(metadata),
        max_duration=_seconds(max_duration),
        max_cost=_money(max_cost),
    )
    about = [each for each in (source, subject) if isinstance(each, Model)]
    if not number or not all(permissions.may_call_about(user, each) for each in about):
        return {}
    look = render.Look(label, _size(size), back, form)
    if tel and not (may_place and render.own_phones(request)):
        return render.tel_link(user, number, subject or source, look)
    return {
        **render.context(request, order, number, subject or source, look),
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("poketalk/call_form.html", takes_context=True)
def call_form(context: template.Context, id: str, *, back: str = "") -> dict[str, Any]:  # noqa: A002
    """The form for buttons that are inside another form: `{% call_form "calls" %}` for buttons with
    `form="calls"`. Displays nothing, except to users with several phones: they choose the one that
    rings first.
    """
    request = _request(context, "call_form")
    user = getattr(request, "user", None)
    if user is None or not permissions.may_place(user):
        return {}
    return {
        "form": id,
        "phones": render.phones(request),
        "back": back or request.get_full_path(),
        "texts": render.texts(),
        "csrf_token": context.get("csrf_token"),
    }


@register.simple_block_tag(takes_context=True)
def call_buttons(
    context: template.Context,
    content: str,
    *objects: Any,
    fields: str = "",
    size: str = "small",
    back: str = "",
    form: str = "",
) -> str:
    """Makes the phone numbers of these objects buttons, wherever they are in the text of the block:
    `{% call_buttons contacts fields="phone,mobile" %} … {% endcall_buttons %}`.

    `objects` are objects or lists of objects. `fields` are the columns or properties with numbers,
    by default the columns for phone numbers. Other numbers remain text, and so do numbers in links,
    buttons, scripts and attributes. If several of the objects have the same number, its call has no
    subject. Changes nothing for users who may not place calls, nor the numbers of objects that they
    may not call about.
    """
    request = _request(context, "call_buttons")
    user = getattr(request, "user", None)
    if user is None or not permissions.may_place(user):
        return content
    own_form = "" if form else f"poketalk-{signed_call.new_nonce()}"
    look = render.Look("", _size(size), back, form or own_form)
    marked = number_linker.link_numbers(request, content, _objects(objects), fields, look)
    if own_form and marked != content:
        marked += render_to_string(
            "poketalk/call_form.html", call_form(context, own_form, back=back)
        )
    return mark_safe(marked)  # noqa: S308  # HTML of the block and of our templates


@register.inclusion_tag("poketalk/call_history.html", takes_context=True)
def call_history(context: template.Context, subject: Any, *, limit: int = 10) -> dict[str, Any]:
    """The newest calls about an object, at most `limit`: `{% call_history contact %}`.

    Users see their own calls, or all calls with the permission `poketalk.view_callrequest`. Each
    call links to its page. The list is loaded again when a call starts or ends on a page with
    `poketalk/call.js` or the bar. Renders nothing without an object, or for users who are not
    logged in.
    """
    request = _request(context, "call_history")
    user = getattr(request, "user", None)
    if subject is None or subject == "" or user is None or user.pk is None:
        return {}
    if not isinstance(subject, Model):
        raise template.TemplateSyntaxError(
            f"call_history needs an object, not a {type(subject).__name__}."
        )
    back = request.get_full_path()
    query = urlencode({"list": history.sign(subject, limit), "next": back})
    return {
        "is_visible": True,
        **history.calls_about(user, subject, limit),
        "src": f"{reverse('poketalk:history')}?{query}",
        "back": back,
    }


@register.inclusion_tag("poketalk/call_bar.html", takes_context=True)
def call_bar(context: template.Context, *, back: str = "") -> dict[str, Any]:
    """The bar with the user's open call: whom it is to, its state, clock and cost, *Hang up*, and
    a link to its page. Put it at the end of the `<body>` of your base template: `{% call_bar %}`.

    It brings its own style sheet and script. With the script, it follows calls of all tabs, and
    changes the page's title and icon while a call is open. `back` is the page that the call's page
    links back to, by default the current one. Renders nothing for users who may not place calls.
    """
    request = _request(context, "call_bar")
    return {**bar.context(request, back), "csrf_token": context.get("csrf_token")}


@register.inclusion_tag("poketalk/live_board.html", takes_context=True)
def live_board(context: template.Context) -> dict[str, Any]:
    """All calls that are going on and that the user may see, with the counts of the day. It keeps
    itself up to date: `{% live_board %}`, once on a page.

    Users see their own calls, or all calls with the permission `poketalk.view_callrequest`, as far
    as `VISIBLE_CALLS` shows them. Renders nothing for users who may see no calls.
    """
    request = _request(context, "live_board")
    user = getattr(request, "user", None)
    if user is None or user.pk is None or not permissions.may_see_calls(user):
        return {}
    back = request.get_full_path()
    return {
        **board.on_page(user, back),
        "rows_url": with_way_back(reverse("poketalk:board"), back),
        "back": back,
    }


@register.inclusion_tag("poketalk/call_later.html", takes_context=True)
def call_back_form(
    context: template.Context,
    callee: Any,
    *,
    field: str = "",
    subject: Any = None,
    metadata: Any = None,
    back: str = "",
) -> dict[str, Any]:
    """A form to call somebody later: `{% call_back_form contact field="phone" %}`. The user is
    reminded then, or the phones ring by themselves. The arguments are those of `call_button`, and
    it renders nothing where that does not.
    """
    button = call_button(
        context, callee, field=field, subject=subject, metadata=metadata, back=back
    )
    if not button:
        return {}
    form = LaterForm(auto_id=f"poketalk-later-{signed_call.new_nonce()[:8]}-%s")
    return {**{name: button[name] for name in ("token", "back", "csrf_token")}, "form": form}


@register.inclusion_tag("poketalk/call_button.html", takes_context=True)
def call_back_button(context: template.Context, call_back: CallBack) -> dict[str, Any]:
    """The button that places the call of a call back, which is done then."""
    request = _request(context, "call_back_button")
    user: Any = request.user
    about = call_back.subject
    if not permissions.may_place(user) or (about and not permissions.may_call_about(user, about)):
        return {}
    order = signed_call.Button(
        nonce=signed_call.new_nonce(),
        number=call_back.callee,
        subject=_reference(about),
        metadata=call_back.metadata,
        call_back=call_back.pk,
    )
    look = render.Look("", "small", request.get_full_path())
    return {
        **render.context(request, order, call_back.callee, about, look),
        "csrf_token": context.get("csrf_token"),
    }


@register.simple_block_tag(takes_context=True)
def site_frame(context: template.Context, content: str) -> str:
    """For the pages of this app: what surrounds them in the base template of the site, such as a
    link back. Changes nothing without one (`BASE_TEMPLATE`), since `poketalk/base.html` has it.
    """
    if not context.get("poketalk_site"):
        return content
    inside: dict[Any, Any] = {**context.flatten(), "content": content}
    return render_to_string("poketalk/site_frame.html", inside)


register.filter(moment, expects_localtime=True)
register.filter(moment_cell)
register.filter(moment_with_zone)
register.filter(clock)


@register.filter
def cost(call: CallRequest) -> str:
    """The cost of a call with three decimals, and with the currency of its service if that is
    known: `0.421 EUR`.
    """
    currency = currency_of(call.service)
    return f"{floatformat(call.cost, 3)}\N{NO-BREAK SPACE}{currency}".rstrip()


def _request(context: template.Context, tag: str) -> HttpRequest:
    request = context.get("request")
    if not isinstance(request, HttpRequest):
        raise template.TemplateSyntaxError(
            f"{tag} requires the request: pass it to render(), and enable the context processor "
            "django.template.context_processors.request."
        )
    return request


def _size(size: str) -> str:
    if size not in SIZES:
        raise template.TemplateSyntaxError(
            f'call_button: size must be "small" or "large", not {size!r}.'
        )
    return size


def _objects(given: Iterable[Any]) -> Iterator[Model]:
    """The saved objects, including those in lists."""
    for each in given:
        if isinstance(each, Model):
            if each.pk is not None:
                yield each
        elif each is None or each == "":
            continue
        elif isinstance(each, str) or not isinstance(each, Iterable):
            kind = type(each).__name__
            raise template.TemplateSyntaxError(
                f"call_buttons needs objects or lists of them, not a {kind}."
            )
        else:
            yield from _objects(each)


def _target(callee: Any, field: str) -> tuple[Model | None, str]:
    """The object whose field is called, or None, and the current number."""
    if callee is None or callee == "":
        return None, ""
    if not field:
        if isinstance(callee, Model):
            raise template.TemplateSyntaxError(
                f'call_button: which field of {callee._meta.label} is the number? Add field="...".'
            )
        return None, numbers.as_text(callee).strip()
    if not isinstance(callee, Model):
        raise template.TemplateSyntaxError(
            f"call_button: field={field!r} needs an object, not a {type(callee).__name__}."
        )
    number = signed_call.read_field(callee, field)
    return (callee, number) if callee.pk is not None else (None, "")


def _reference(subject: Any) -> signed_call.Reference | None:
    if subject is None or subject == "":
        return None
    if not isinstance(subject, Model):
        raise template.TemplateSyntaxError(
            f"call_button: subject must be an object, not a {type(subject).__name__}."
        )
    return signed_call.Reference.to(subject)


def _metadata(value: Any) -> dict[str, Any]:
    try:
        return clean_metadata(value or None)
    except ValueError as error:
        raise template.TemplateSyntaxError(f"call_button: {error}") from error


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
            f"call_button: max_cost must be an amount above zero, not {value!r}."
        )
    return money
