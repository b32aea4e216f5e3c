"""Lookups in the URL do not reveal masked numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client, RequestFactory
from django.urls import reverse

OURS = [
    model
    for model in admin.site._registry
    if model._meta.app_label in ("poketalk", "poketalk_server")
    and model._meta.model_name not in ("heartbeat", "switch")  # their pages are not lists
]
NUMBERS = ("number", "from_number", "to_number")


def lookups() -> Iterator[Any]:
    """All lookups of numbers in a URL: of a model's own fields, and of related models' fields."""
    for label in ("poketalk", "poketalk_server"):
        for model in apps.get_app_config(label).get_models():
            paths = [(field.name, field) for field in model._meta.get_fields()]
            for name, field in paths:
                columns = [name] if name in NUMBERS else []
                if isinstance(field, models.ForeignKey):
                    related = {each.name for each in field.related_model._meta.get_fields()}
                    columns = [f"{name}__{number}" for number in NUMBERS if number in related]
                for column in columns:
                    yield pytest.param(
                        model, f"{column}__startswith", id=f"{model._meta.label}.{column}"
                    )


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "lookup"), list(lookups()))
def test_lookups_by_number_require_the_permission_to_see_numbers(model: Any, lookup: str) -> None:
    model_admin = admin.site._registry.get(model)
    if model_admin is None:
        pytest.skip(f"{model._meta.label} is not registered in the admin")
    request = RequestFactory().get("/")
    request.user = get_user_model().objects.create_user("watcher", is_staff=True)
    request.user.user_permissions.set(Permission.objects.exclude(codename="view_numbers"))

    assert not model_admin.lookup_allowed(lookup, "44", request)

    if lookup.count("__") == 1:  # Django itself refuses lookups of related numbers
        request.user = get_user_model().objects.create_superuser("boss")
        assert model_admin.lookup_allowed(lookup, "44", request)


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_a_nul_is_an_invalid_filter(model: Any, admin_client: Client) -> None:
    """PostgreSQL rejects a NUL anywhere in a condition."""
    page = reverse(admin_urlname(model._meta, "changelist"))
    model_admin = admin.site._registry[model]
    fields = [field.name for field in model._meta.concrete_fields]
    filters = [getattr(each, "parameter_name", "") for each in model_admin.list_filter]

    for name in filter(None, [*fields, *filters]):
        response = admin_client.get(page, {name: "1\x00"})
        assert response.status_code == (400 if name == "eventurl" else 302), name
    assert admin_client.get(page, {"q": "\x00"}).status_code == 200


def test_finds_lookups_to_test() -> None:
    assert len(list(lookups())) > 8
