"""The doctor works in a project with the caller's side alone, also if nothing else runs there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import django_poketalk

SETTINGS = """
SECRET_KEY = "x" * 50
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "lonely.sqlite3"}}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django_poketalk"]
ROOT_URLCONF = "lonely_urls"
POKETALK = {
    "URL": "http://127.0.0.1:%d/index.php/api/click2call",
    "API_KEY": "a-key",
    "EVENT_BASE_URL": "http://127.0.0.1:%d",
}
"""
URLS = """
from django.urls import include, path
urlpatterns = [path("poketalk/", include("django_poketalk.urls"))]
"""
RUN = """
import django
from celery import Celery
Celery("lonely", broker="redis://127.0.0.1:%d/0").set_default()
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("poketalk_doctor", "--json", "--timeout", "4")
"""


def test_the_doctor_ends_in_time_with_nothing_but_dead_ends(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never says a word
        port = silent.getsockname()[1]
        (tmp_path / "lonely.py").write_text(SETTINGS % (port, port))
        (tmp_path / "lonely_urls.py").write_text(URLS)
        package = Path(django_poketalk.__file__).parent.parent
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", RUN % port],
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "lonely",
                "PYTHONPATH": f"{tmp_path}{os.pathsep}{package}",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        took = time.monotonic() - began

    found = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1, done.stderr
    assert took < 40
    assert found["database"]["level"] == "warning"  # SQLite, in deferred transactions
    assert found["broker"]["level"] == "error"
    assert found["worker"]["findings"][0]["found"] == "Not checked, because of: broker."
    assert found["service"]["level"] == "error"
    assert found["events"]["level"] == "warning"
    assert max(each["seconds"] for each in found.values()) < 8.5
    assert not {"switches", "gateways", "sample_call"} & found.keys()
