"""drf-spectacular describes the query API without warnings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

DOCUMENT = """
from django.conf import settings
settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "drf_spectacular"]
settings.REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
import django
django.setup()
from django.core.management import call_command
call_command(
    "spectacular", urlconf="django_poketalk.server.urls", validate=True, fail_on_warn=True
)
"""


def test_every_operation_is_described() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DOCUMENT],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    document = yaml.safe_load(done.stdout)

    operations = [each for path in document["paths"].values() for each in path.values()]
    assert {each["operationId"] for each in operations} == {
        f"poketalk_service_{name}" for name in ("balance", "calls", "call", "hang_up")
    }
    assert all(each["security"] == [{"poketalkServiceKey": []}] for each in operations)
    balance = document["components"]["schemas"]["PokeTalkServiceBalance"]["properties"]
    assert balance["low"]["type"] == "boolean"
    assert balance["balance"]["type"] == "string"
