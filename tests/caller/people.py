"""Users, contacts and pages for the tests of views and the admin."""

from __future__ import annotations

import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Permission
from django.template import RequestContext, Template
from django.test import Client, RequestFactory
from django.utils import timezone

from django_poketalk.events.tokens import Limits
from django_poketalk.models import CallRequest, Phone, Placement
from tests.caller.conftest import CALLEE, CALLER
from tests.crm.models import Contact


def someone(name: str, *permissions: str, **fields: Any) -> Any:
    """A user with these permissions of `poketalk`."""
    user = get_user_model().objects.create_user(name, password=name, **fields)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="poketalk", codename__in=permissions)
    )
    return user


def agent(name: str = "anna", *permissions: str) -> Any:
    """A user with an own number who may place calls about contacts."""
    user = someone(name, "place_call", *permissions)
    user.user_permissions.add(Permission.objects.get(codename="view_contact"))
    Phone.objects.create(user=user, number=CALLER)
    return user


def contact(name: str = "Bob", phone: str = CALLEE) -> Contact:
    return Contact.objects.create(name=name, phone=phone)


def render(tag: str, user: Any = None, **context: Any) -> str:
    """The output of this template tag for `user`."""
    request = RequestFactory().get("/contacts/7/?tab=phones")
    request.user = user or AnonymousUser()
    template = Template("{% load poketalk %}{% " + tag + " %}")
    return template.render(RequestContext(request, context)).strip()


def hidden(html: str, name: str) -> str:
    """The value of the page's hidden input."""
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no hidden input {name!r} in {html!r}"
    return found[1].replace("&amp;", "&")


def token(user: Any, tag: str = 'call_button contact field="phone"', **context: Any) -> str:
    return hidden(render(tag, user, **context), "token")


def logged_in(user: Any, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def staff(name: str, *permissions: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(someone(name, *permissions, is_staff=True, **fields))
    return client


def page(response: Any, status: int = 200) -> str:
    assert response.status_code == status
    return str(response.content.decode()).replace("\N{NO-BREAK SPACE}", " ")


def contains_number(text: str) -> bool:
    """Whether the text contains a number of these tests, +44 20 7946 0nnn, in any format.

    Fewer digits would also match by chance, in microseconds and ids of calls.
    """
    return re.search(r"20\W{0,3}7946|7946\W{0,3}0\d{3}", text) is not None


def limits_of(call: CallRequest) -> Limits:
    """The limits that are signed in the call's EventURL."""
    return Limits(call.pk, call.max_duration, call.max_cost)


def connected(call: CallRequest, **changes: Any) -> CallRequest:
    """Update the call to the state while both talk."""
    now = changes.get("ended_at") or timezone.now()  # it answered no later than it ended
    facts = {
        "placement": Placement.ACCEPTED,
        "status": 7,
        "sent_at": now,
        "placed_at": now,
        "a_initiated_at": now,
        "a_answered_at": now,
        "b_initiated_at": now,
        "b_answered_at": now,
        "duration": 75,
        "cost": Decimal("0.4205"),
        **changes,
    }
    CallRequest.objects.filter(pk=call.pk).update(**facts)
    call.refresh_from_db()
    return call


def text(html: str) -> str:
    """The text of HTML, without markup."""
    words: list[str] = []
    parser = HTMLParser()
    parser.handle_data = words.append  # type: ignore[method-assign]
    parser.feed(html)
    return " ".join(" ".join(words).split())
