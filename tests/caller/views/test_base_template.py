"""`BASE_TEMPLATE`: the pages for users in the site's own frame, without a template of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import checks
from django.test import Client

from django_poketalk.checks.templates import check_base_template
from django_poketalk.models import CallRequest, Phone

from ..people import agent, contact, logged_in, page, token

BASE = """<!doctype html><html><head><title>{% block title %}Acme{% endblock %}</title>
{% block HEAD %}<link rel="stylesheet" href="/acme.css">{% endblock %}</head>
<body><nav>Acme</nav>{% block content %}{% endblock %}<footer>End</footer></body></html>"""
NESTED = """<!doctype html><html><head><title>{% block title %}Acme{% endblock %}</title>
{% block head %}<link rel="stylesheet" href="/acme.css">{% block extra_head %}{% endblock %}
{% endblock %}</head>
<body><nav>Acme</nav>{% block content %}{% endblock %}<footer>End</footer></body></html>"""
TEMPLATES = {
    **{f"{name}.html": BASE.replace("HEAD", name) for name in ("head", "extra_head", "extrahead")},
    "nested.html": NESTED,
    "shop.html": "{% extends 'head.html' %}{% block content %}Shop{% endblock %}",
    "no_head.html": BASE.replace("HEAD", "css"),
    "no_content.html": BASE.replace("HEAD", "head").replace("block content", "block main"),
    "broken.html": "{% block %}",
}
SCRIPT = "poketalk/call_page.js"


@pytest.fixture(autouse=True)
def _templates(settings: Any) -> None:
    [engine] = settings.TEMPLATES
    loaders = [
        ("django.template.loaders.locmem.Loader", TEMPLATES),
        "django.template.loaders.app_directories.Loader",
    ]
    options = {**engine["OPTIONS"], "loaders": loaders}
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": options}]


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def client(anna: Any) -> Client:
    return logged_in(anna)


def in_frame(html: str) -> str:
    """The page's own part, which must be inside of the site's frame with its style sheets."""
    head, body = html.split("<body>")
    found = re.search(r"<nav>Acme</nav>(.*)<footer>End</footer>", body, re.DOTALL)
    assert found, html
    for style in ("/acme.css", "poketalk/poketalk.css", "poketalk/in_site.css"):
        assert style in head, style
    assert html.count("<body") == html.count("<title>") == html.count("poketalk-in-site") == 1
    return found[1]


@pytest.mark.parametrize("base", ["head", "extra_head", "extrahead", "nested", "shop"])
def test_every_page_is_in_the_frame_of_the_site(
    base: str, client: Client, anna: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(
        BASE_TEMPLATE=f"{base}.html", VERIFY_PHONES="tests.caller.views.test_base_template.send"
    )
    phone = Phone.objects.get()
    refused = {"token": "x", "next": "/contacts/7/"}

    list_page = page(client.get("/poketalk/my-phones/?next=/contacts/7/"))
    assert "<h1>My phones</h1>" in in_frame(list_page)
    assert 'href="/contacts/7/">Back</a>' in in_frame(list_page)
    assert "<title>My phones</title>" in list_page
    assert "poketalk/phones.css" in list_page
    assert "<h1>Change your phone</h1>" in in_frame(
        page(client.get(f"/poketalk/my-phones/{phone.pk}/"))
    )
    assert "<h1>Verify your phone</h1>" in in_frame(
        page(client.get(f"/poketalk/my-phones/{phone.pk}/verify/"))
    )
    assert "<h1>No call was made</h1>" in in_frame(
        page(client.post("/poketalk/place/", refused), 422)
    )


def send(phone: Phone, code: str) -> None:
    raise AssertionError("No code is sent in these tests.")


@pytest.mark.parametrize("base", ["head", "extra_head", "extrahead", "nested"])
def test_the_page_of_a_call_updates_itself(
    base: str, client: Client, anna: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(BASE_TEMPLATE=f"{base}.html")
    bob = contact()
    placed = client.post(
        "/poketalk/place/", {"token": token(anna, contact=bob), "next": "/contacts/7/"}
    )

    html = page(client.get(placed.url))

    assert "<h1>Call about Bob</h1>" in in_frame(html)
    head = html.split("</head>")[0]
    assert SCRIPT in head
    assert '<noscript><meta http-equiv="refresh"' in head
    call = CallRequest.objects.get()
    call.cancel(call.created_at)
    assert SCRIPT not in page(client.get(placed.url))


def test_messages_are_displayed_once(client: Client, poketalk: Callable[..., None]) -> None:
    poketalk(BASE_TEMPLATE="head.html")

    html = page(client.post("/poketalk/my-phones/", {"number": "+442079460555"}, follow=True))

    assert in_frame(html).count("Your phone was saved.") == 1


def test_without_the_setting_the_pages_have_a_frame_of_their_own(client: Client) -> None:
    html = page(client.get("/poketalk/my-phones/?next=/contacts/7/"))

    assert '<body class="poketalk-page">' in html
    assert "poketalk-in-site" not in html
    assert html.count(">Back</a>") == 1


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("nowhere.html", "TemplateDoesNotExist"),
        ("broken.html", "TemplateSyntaxError"),
        ("no_head.html", "head or extra_head or extrahead"),
        ("no_content.html", "no block content"),
    ],
)
def test_a_template_that_cannot_be_the_base_is_reported(
    base: str, says: str, poketalk: Callable[..., None]
) -> None:
    poketalk(BASE_TEMPLATE=base)

    [message] = check_base_template()

    assert (message.id, message.level) == ("poketalk.E022", checks.ERROR)
    assert says in message.msg


@pytest.mark.parametrize("base", [None, "head.html", "nested.html", "shop.html"])
def test_a_usable_template_is_not_reported(base: str | None, poketalk: Callable[..., None]) -> None:
    poketalk(BASE_TEMPLATE=base)

    assert [*check_base_template()] == []
