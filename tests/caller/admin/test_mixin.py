"""Calls in the project's own admin: buttons and history on the change page, buttons in the list."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_poketalk.admin.mixin import CallsAdminMixin
from django_poketalk.button import signed_call
from django_poketalk.models import CallRequest
from tests.crm.admin_site import ContactAdmin, site
from tests.crm.models import Contact

from ..conftest import CALLEE
from ..people import connected, contact, logged_in, page, someone

pytestmark = pytest.mark.urls("tests.crm.admin_site")

LIST = "/crm/crm/contact/"
NewCall = Callable[..., CallRequest]


def person(name: str, *permissions: str) -> Any:
    """A member of staff who may edit contacts, with these permissions of `poketalk`."""
    user = someone(name, *permissions, is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="crm"))
    return user


@pytest.fixture
def anna(db: None) -> Any:
    return person("anna", "place_call")


@pytest.fixture
def bob(db: None) -> Contact:
    return contact()


def change(who: Contact) -> str:
    return f"{LIST}{who.pk}/change/"


class Forms(HTMLParser):
    """Finds nested forms, which browsers do not support, and the form of each button."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.nested: list[str] = []
        self.of_buttons: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "form":
            self.nested += self.open
            self.open.append(has.get("id") or has.get("class") or "")
            self.ids.add(self.open[-1])
        elif tag == "button" and has.get("type") == "submit":
            self.of_buttons.append(has.get("form") or (self.open or [""])[-1])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open.pop()


# The change page


def test_the_change_page_has_a_button_and_the_calls(
    anna: Any, bob: Contact, new_call: NewCall
) -> None:
    call = connected(new_call(user=anna, subject=bob), ended_at="2026-03-02T09:00Z", status=8)

    html = page(logged_in(anna).get(change(bob)))

    assert html.count("</poketalk-call>") == 1
    assert 'aria-label="Call: Bob">Call</button>' in html
    assert f'href="/poketalk/{call.pk}/?next=' in html
    token = re.findall(r'name="token" value="([^"]*)"', html)[0]
    assert signed_call.read(token, anna).callee(anna) == (CALLEE, bob)


def test_several_numbers_are_labeled_with_their_fields(
    anna: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ContactAdmin, "call_fields", ("phone", "phone_of_name"))
    eve = contact("Eve +442079460999")

    html = page(logged_in(anna).get(change(eve)))

    assert re.findall(r'<button type="submit" aria-label="(.*?):', html) == [
        "Call phone",
        "Call Phone of name",
    ]


@pytest.mark.parametrize("where", ["change", "list"])
def test_forms_are_not_nested(where: str, anna: Any, bob: Contact) -> None:
    html = page(logged_in(anna).get(change(bob) if where == "change" else LIST))

    forms = Forms(html)
    assert forms.nested == []
    assert {"poketalk-button", "poketalk-calls"} & {*forms.of_buttons}
    assert "poketalk-calls" not in forms.of_buttons or "poketalk-calls" in forms.ids


def test_style_and_script_are_files_and_nothing_is_inline(anna: Any, bob: Contact) -> None:
    for address in (LIST, change(bob)):
        html = page(logged_in(anna).get(address))

        assert '<script src="/static/poketalk/call.js" type="module"></script>' in html
        assert 'href="/static/poketalk/poketalk.css"' in html
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", html)


def test_add_pages_and_popups_have_no_buttons(anna: Any, bob: Contact) -> None:
    for address in (f"{LIST}add/", f"{change(bob)}?_popup=1", f"{LIST}?_popup=1"):
        assert "poketalk-call>" not in page(logged_in(anna).get(address))


def test_the_project_s_own_template_is_extended(
    anna: Any, bob: Contact, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = {
        "own_form.html": '{% extends "admin/change_form.html" %}'
        "{% block form_top %}Our own form{% endblock %}",
        "admin/crm/contact/change_list.html": '{% extends "admin/change_list.html" %}'
        "{% block search %}Our own list{% endblock %}",
    }
    loaders = ["django.template.loaders.app_directories.Loader"]
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [
        {
            **engine,
            "APP_DIRS": False,
            "OPTIONS": {
                **engine["OPTIONS"],
                "loaders": [("django.template.loaders.locmem.Loader", templates), *loaders],
            },
        }
    ]
    monkeypatch.setattr(ContactAdmin, "change_form_template", "own_form.html")

    rendered, listed = (page(logged_in(anna).get(where)) for where in (change(bob), LIST))

    assert "Our own form" in rendered
    assert "Our own list" in listed
    assert "</poketalk-call>" in rendered
    assert "</poketalk-call>" in listed


# The list


def test_the_list_has_a_column_of_buttons(anna: Any, bob: Contact) -> None:
    contact("Nora", phone="")

    html = page(logged_in(anna).get(f"{LIST}?q=o"))

    assert html.count("</poketalk-call>") == 1
    assert re.search(r'<th[^>]*column-call[^>]*>.*?<div class="text"><span>Call</span>', html, re.S)
    assert 'name="next" value="/crm/crm/contact/?q=o"' in html
    [(form, token)] = re.findall(
        r'<button type="submit" form="([^"]*)" name="token" value="([^"]*)"', html
    )
    assert f'<form id="{form}" method="post" action="/poketalk/place/"' in html
    assert signed_call.read(token, anna).callee(anna) == (CALLEE, bob)


def test_the_list_makes_one_more_query_for_any_number_of_rows(
    anna: Any, bob: Contact, monkeypatch: pytest.MonkeyPatch, new_call: NewCall
) -> None:
    client = logged_in(anna)
    new_call(user=anna, subject=bob)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(client.get(LIST))
        return len(captured)

    queries()  # fills the content types
    few = queries()
    for number in range(20):
        contact(f"Bob {number}")
    many = queries()
    monkeypatch.setattr(ContactAdmin, "call_column", False)

    assert many == few
    assert queries() == few - 1


def test_the_change_page_makes_three_more_queries(
    anna: Any, bob: Contact, new_call: NewCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = logged_in(anna)
    for _ in range(3):
        new_call(user=anna, subject=bob)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(client.get(change(bob)))
        return len(captured)

    queries()
    ours = queries()
    monkeypatch.setattr(
        "django_poketalk.permissions.may_see_calls", lambda user: False, raising=True
    )

    assert ours - queries() == 3  # what is going on, the phones, and the history


def test_saving_the_list_still_works(anna: Any, bob: Contact) -> None:
    answer = logged_in(anna).post(
        LIST,
        {
            "form-TOTAL_FORMS": 1,
            "form-INITIAL_FORMS": 1,
            "form-0-id": bob.pk,
            "form-0-phone": "+442079460999",
            "_save": "Save",
        },
    )

    assert answer.status_code == 302
    bob.refresh_from_db()
    assert bob.phone == "+442079460999"


def test_the_page_of_an_action_is_unchanged(anna: Any, bob: Contact) -> None:
    answer = logged_in(anna).post(
        LIST, {"action": "delete_selected", "_selected_action": bob.pk, "index": 0}
    )

    assert "Are you sure" in page(answer)


# Permissions


@pytest.mark.parametrize("permissions", [(), ("hang_up_any_call", "view_numbers")])
def test_users_without_permissions_see_no_calls_and_buttons(permissions: Any, bob: Contact) -> None:
    client = logged_in(person("clerk", *permissions))

    for address in (LIST, change(bob)):
        html = page(client.get(address))
        assert "</poketalk-call>" not in html
        assert "poketalk-panel" not in html.replace("admin_calls_panel.css", "")
        assert "column-call" not in html
        assert "/poketalk/place/" not in html


def test_users_who_may_only_watch_see_calls_without_buttons(
    anna: Any, bob: Contact, new_call: NewCall
) -> None:
    call = new_call(user=anna, subject=bob)

    html = page(logged_in(person("watcher", "view_callrequest")).get(change(bob)))

    assert f"/poketalk/{call.pk}/" in html
    assert "</poketalk-call>" not in html


def test_hostile_names_and_labels_are_escaped(anna: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mallory = contact('"><script>alert(1)</script> +442079460999')
    monkeypatch.setattr(ContactAdmin, "call_fields", ("phone", "phone_of_name"))
    monkeypatch.setattr(Contact._meta.get_field("phone"), "verbose_name", "<i>phone</i>")

    for address in (LIST, change(mallory)):
        html = page(logged_in(anna).get(address))
        assert "<script>alert" not in html
        assert html.count("</poketalk-call>") == 2
        assert "Call <i>" not in html


# Checks


@pytest.mark.parametrize("field", ["telephone", "company"])
def test_an_invalid_call_field_is_a_check_error(field: str) -> None:
    class Wrong(CallsAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
        call_fields = (field,)

    [error] = Wrong(Contact, site).check()

    assert error.id == "poketalk.E010"
    assert field in error.msg
    assert ContactAdmin(Contact, site).check() == []
