"""Without the permission to see numbers, no page of either half shows a number of somebody else:
neither the admin and its lists, however they are sorted, searched and filtered, nor the actions,
the pages for users and the API. The pages are found by the URLs, so new ones are included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from django_poketalk.models import Phone
from tests.caller.conftest import CALLER
from tests.security import every_page
from tests.security.test_masked_numbers import person

pytestmark = pytest.mark.django_db
OURS = ("poketalk", "poketalk_server")
LISTS = [model for model in admin.site._registry if model._meta.app_label in OURS]
LEAVES = ("/admin/logout/", "/admin/password_change/")  # these end the session


@pytest.fixture
def insider(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("django_poketalk.calls.task_publisher.wake", lambda pk, delay=0: None)
    every_page.rows()
    client = person("view_numbers")
    client.raise_request_exception = False
    return client


def content(response: Any) -> str:
    data = b"".join(response.streaming_content) if response.streaming else response.content
    return str(data.decode(errors="replace"))


def assert_masked(response: Any, what: Any, written: str | None = None) -> None:
    """The response contains no number, apart from the one that was written into the search."""
    assert response.status_code < 500, what
    html = content(response).replace(written or "", "")
    assert every_page.revealed(html) == [], what


def test_the_search_for_numbers_finds_them(insider: Client) -> None:
    """Those who may see numbers see them, so the other tests look for the right thing."""
    boss = person()
    for name in ("poketalk_callrequest", "poketalk_server_call", "poketalk_phone"):
        html = content(boss.get(reverse(f"admin:{name}_changelist")))
        assert every_page.revealed(html), name
    for number in every_page.NUMBERS:
        assert every_page.revealed(every_page.text(number))


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_page_shows_a_number(insider: Client, method: str) -> None:
    shown = set()
    for route, name in every_page.routes():
        if route.startswith(LEAVES):
            continue
        for address in every_page.addresses(route, name):
            response = getattr(insider, method)(address, follow=True)
            assert_masked(response, f"{method} {address}")
            if response.status_code == 200:
                shown.add(name)
    lists = {
        f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist" for model in LISTS
    }
    changes = {name.replace("changelist", "change") for name in lists}
    assert lists <= shown
    assert method == "post" or changes <= shown


def views_of(client: Client, model: Any) -> Iterator[dict[str, Any]]:
    """The parameters of the list for all columns, each choice of a filter and some searches."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    changelist = client.get(reverse(name)).context.get("cl")
    if changelist is None:  # the health page
        return
    yield {"o": ".".join(map(str, range(len(changelist.list_display) + 1)))}
    for spec in changelist.filter_specs:
        for choice in spec.choices(changelist):
            yield {"?": choice["query_string"]}
    for word in ("44", "+44 113", every_page.NUMBERS[0]):
        yield {"q": word}
    for field in model._meta.get_fields():
        yield {f"{field.name}__startswith": "44"}


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.label)
def test_no_view_of_a_list_shows_a_number(insider: Client, model: Any) -> None:
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    for parameters in views_of(insider, model):
        query = parameters.pop("?", "?")
        response = insider.get(f"{path}{query}", parameters or None, follow=True)
        assert_masked(response, f"{path}{query} {parameters}", written=parameters.get("q"))


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.label)
def test_no_action_shows_a_number(insider: Client, model: Any) -> None:
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    keys = [str(pk) for pk in model._default_manager.values_list("pk", flat=True)]
    request = insider.get(path).wsgi_request
    actions = admin.site.get_model_admin(model).get_actions(request)
    for action in sorted(actions, key=lambda name: name == "delete_selected"):
        for confirmed in ({}, {"confirmed": "1"}, {"post": "yes"}):
            form = {"action": action, ACTION_CHECKBOX_NAME: keys, **confirmed}
            response = insider.post(path, form, follow=True)
            assert_masked(response, f"{path} {form}")


def test_autocompletion_shows_no_number(insider: Client) -> None:
    for model, model_admin in admin.site._registry.items():
        for field in model_admin.get_autocomplete_fields(None):  # type: ignore[arg-type]
            parameters = {
                "app_label": model._meta.app_label,
                "model_name": model._meta.model_name,
                "field_name": field,
            }
            response = insider.get("/admin/autocomplete/", parameters)
            assert_masked(response, parameters)


def test_lists_of_the_api_are_not_searched_or_sorted_by_a_number(insider: Client) -> None:
    lists = 0
    for route, _name in every_page.routes():
        if not route.startswith("/poketalk/api/") or "<" in route:
            continue
        plain = insider.get(route)
        if plain.status_code != 200:
            continue
        lists += 1
        for number in (*every_page.NUMBERS, "442079469999"):
            found = insider.get(route, {"number": f"+{number}"})
            assert_masked(found, f"{route} {number}")
            assert not isinstance(found.json(), dict) or not found.json().get("results")
        for parameter in ("ordering", "order_by", "sort", "search"):
            sorted_ = insider.get(route, {parameter: "to_number"})
            assert sorted_.status_code != 200 or sorted_.content == plain.content
    assert lists >= 2


def test_ones_own_numbers_are_shown(insider: Client) -> None:
    anna = get_user_model().objects.latest("pk")
    Phone.objects.create(user=anna, number=CALLER)

    assert "7946 0000" in content(insider.get("/poketalk/my-phones/"))
