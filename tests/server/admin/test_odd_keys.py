"""Forms with keys and times that are none are drawn, instead of failing."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db

FORMS = [
    (model_admin.model, name)
    for model_admin in admin.site._registry.values()
    if model_admin.model._meta.app_label in ("poketalk", "poketalk_server")
    for name in model_admin.autocomplete_fields
]


@pytest.mark.parametrize("key", ["1E+999999", "x", "-", "9" * 40])
@pytest.mark.parametrize(
    ("model", "field"), FORMS, ids=[f"{model.__name__}.{name}" for model, name in FORMS]
)
def test_a_key_that_is_none_is_refused(
    model: type, field: str, key: str, admin_client: Client
) -> None:
    meta = model._meta  # type: ignore[attr-defined]
    add = reverse(f"admin:{meta.app_label}_{meta.model_name}_add")

    response = admin_client.post(add, {field: key})

    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors


TIMES = [
    (model_admin.model, field.name)
    for model_admin in admin.site._registry.values()
    if model_admin.model._meta.app_label in ("poketalk", "poketalk_server")
    for field in model_admin.model._meta.fields
    if isinstance(field, models.DateField) and field.editable
]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("x", ""), ("9999-12-31 23:59:59", ""), ("0001-01-01", ""), ("2026-11-29 10:00", "10:00:00")],
)
@pytest.mark.parametrize(
    ("model", "field"), TIMES, ids=[f"{model.__name__}.{name}" for model, name in TIMES]
)
def test_a_form_begins_with_a_time_of_the_address_if_it_is_one(
    model: type, field: str, value: str, shown: str, admin_client: Client
) -> None:
    meta = model._meta  # type: ignore[attr-defined]
    add = reverse(f"admin:{meta.app_label}_{meta.model_name}_add")

    response = admin_client.get(add, {field: value})

    assert response.status_code in (200, 403)
    if shown and response.status_code == 200 and f'name="{field}_1"' in response.content.decode():
        assert f'value="{shown}"' in response.content.decode()
