"""The API's OpenAPI document, which drf-spectacular generates without warnings."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCUMENT = """
from django.conf import settings
settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "drf_spectacular"]
settings.REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
import django
django.setup()
from django.core.management import call_command
call_command(
    "spectacular", urlconf="django_poketalk.api.urls", validate=True, fail_on_warn=True
)
"""
WITHOUT = """
import sys
sys.modules["drf_spectacular"] = None
import django
django.setup()
from django_poketalk.api import urls
assert len(urls.urlpatterns) == 14, urls.urlpatterns
assert "drf_spectacular.utils" not in sys.modules
"""


def run(program: str) -> str:
    """The output of a new Python process, which has imported nothing of ours."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def generated() -> Any:
    """The document of a project that follows the instructions of drf-spectacular."""
    return yaml.safe_load(run(DOCUMENT))


@pytest.fixture
def document() -> Any:
    return generated()


def test_every_operation_has_a_name_and_a_description(document: Any) -> None:
    named = {
        (path, method): operation["operationId"].removeprefix("poketalk_")
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }

    assert named == {
        ("/blacklist/", "get"): "list_blacklist",
        ("/blacklist/", "post"): "add_blacklisted",
        ("/blacklist/{id}/", "delete"): "delete_blacklisted",
        ("/blacklist/{id}/", "get"): "retrieve_blacklisted",
        ("/blacklist/{id}/", "patch"): "change_blacklisted",
        ("/call-backs/", "get"): "list_call_backs",
        ("/call-backs/", "post"): "add_call_back",
        ("/call-backs/{id}/", "delete"): "delete_call_back",
        ("/call-backs/{id}/", "get"): "retrieve_call_back",
        ("/call-backs/{id}/", "patch"): "change_call_back",
        ("/calls/", "get"): "list_calls",
        ("/calls/", "post"): "place_call",
        ("/calls/quote/", "post"): "quote_call",
        ("/calls/{id}/", "get"): "retrieve_call",
        ("/calls/{id}/hang-up/", "post"): "hang_up_call",
        ("/calls/{id}/wrap-up/", "put"): "wrap_up_call",
        ("/own-number/", "delete"): "delete_own_number",
        ("/own-number/", "get"): "get_own_number",
        ("/own-number/", "put"): "set_own_number",
        ("/phones/", "get"): "list_phones",
        ("/phones/", "post"): "add_phone",
        ("/phones/{id}/", "delete"): "delete_phone",
        ("/phones/{id}/", "patch"): "change_phone",
        ("/phones/{id}/send-code/", "post"): "send_code",
        ("/phones/{id}/verify/", "post"): "verify_phone",
    }


def test_every_error_is_a_problem(document: Any) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                kinds = list(answer.get("content", {}))
                wanted = ["application/problem+json"] if status >= "400" else ["application/json"]
                assert kinds == ([] if status == "204" else wanted)


def test_component_names_have_a_prefix(document: Any) -> None:
    names = [name for name in document["components"]["schemas"] if not name.endswith("Enum")]

    assert names
    assert [name for name in names if "PokeTalk" not in name] == []


def test_the_schema_of_an_order_allows_no_other_fields(document: Any) -> None:
    assert document["components"]["schemas"]["PokeTalkOrder"]["additionalProperties"] is False


def test_placing_accepts_an_idempotency_key(document: Any) -> None:
    [key] = document["paths"]["/calls/"]["post"]["parameters"]

    assert (key["in"], key["name"], key.get("required", False)) == (
        "header",
        "Idempotency-Key",
        False,
    )


def test_the_api_works_without_drf_spectacular() -> None:
    assert run(WITHOUT) == ""
