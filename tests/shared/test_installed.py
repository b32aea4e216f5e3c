"""URLs that are included without their app say what is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

INCLUDE = """
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"])
import django
django.setup()
from django.urls import include
include("URLS")
"""


@pytest.mark.parametrize(
    ("urls", "app"),
    [
        ("django_poketalk.urls", "django_poketalk"),
        ("django_poketalk.api.urls", "django_poketalk"),
        ("django_poketalk.server.urls", "django_poketalk.server"),
    ],
)
def test_the_missing_app_is_named(urls: str, app: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INCLUDE.replace("URLS", urls)], capture_output=True, text=True
    )

    assert done.stderr.splitlines()[-1] == (
        "django.core.exceptions.ImproperlyConfigured: "
        f"The URLs {urls!r} are included, but {app!r} is not in INSTALLED_APPS: add it."
    )
