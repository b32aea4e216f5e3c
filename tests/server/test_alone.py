"""The service runs in a project without the caller's side, whatever its REST framework defaults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import django_poketalk

SETTINGS = """
SECRET_KEY = "x" * 50
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "lonely.sqlite3"}}
INSTALLED_APPS = [%s]
MIDDLEWARE = [%s]
TEMPLATES = [%s]
ROOT_URLCONF = "lonely_urls"
STATIC_URL = "static/"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.AdminRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_PAGINATION_CLASS": None,
    "DEFAULT_FILTER_BACKENDS": [],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"anon": "1/day"},
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.URLPathVersioning",
    "ALLOWED_VERSIONS": ["1"],
    "COERCE_DECIMAL_TO_STRING": False,
    "DATETIME_FORMAT": "%%s",
}
"""
TEMPLATES = """{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}"""
URLS = """
from django.urls import include, path
urlpatterns = [path("phones/", include("django_poketalk.server.urls"))]
"""
ADMIN_URLS = """
from django.contrib import admin
urlpatterns.append(path("admin/", admin.site.urls))
"""
RUN = """
import sys
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("check", fail_level="WARNING")
call_command("makemigrations", check=True, verbosity=0)
call_command("migrate", verbosity=0)
client = Client()
assert client.post("/phones/index.php/api/click2call").content == b"10"
assert client.post(
    "/phones/index.php/api/click2call", {"api_key": "x", "from": "1234567", "to": "1234567"}
).content == b"40"
assert client.get("/phones/api/calls/").status_code == 401
assert client.get("/phones/api/calls/1/").status_code == 401

from decimal import Decimal
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import *
provider = ServiceProvider.objects.create(name="carrier")
Gateway.objects.create(provider=provider, name="phones", kind="simulated")
price_list = PriceList.objects.create(name="Prices")
Rate.objects.create(price_list=price_list, price_per_minute=Decimal("0.6"))
account = Account.objects.create(name="ACME", provider=provider, price_list=price_list)
AllowedAddress.objects.create(account=account, network="127.0.0.1")
ledger.top_up(account, Decimal(1))
key, secret = ApiKey.issue(account)
for custom in ("web1", "web2"):
    form = {"api_key": secret, "from": "442079460000", "to": "12025550123", "custom": custom}
    assert client.post("/phones/index.php/api/click2call", form).content == b"00"
    Account.objects.update(credit_limit=5)
for _ in range(2):
    response = client.get(
        "/phones/api/calls/?custom=web1", headers={"Authorization": f"Api-Key {secret}"}
    )
assert response["Content-Type"] == "application/json", response["Content-Type"]
[call] = response.json()["results"]
assert (call["custom"], call["cost"]) == ("web1", "0.000"), call
assert call["created_at"].endswith("Z"), call

from django_poketalk.server import personal_data
tables = personal_data.export("+44 20 7946 0000")
assert len(tables["poketalk_server.call"]["rows"]) == 2, tables
Call.objects.update(state="ended", held=0)
call_command("poketalk_person", "+44 20 7946 0000", erase=True, interactive=False)
assert {call.from_number for call in Call.objects.all()} == {""}

import io, json
out = io.StringIO()
try:
    call_command("poketalk_doctor", "--json", stdout=out)
except SystemExit as ended:
    assert ended.code == 1, "no switch is running"
found = {each["check"]: each["level"] for each in json.loads(out.getvalue())["checks"]}
assert found["database"] == "warning" and found["switches"] == "error", found
assert not {"broker", "worker", "service", "events"} & found.keys(), found
"""
RUN_ADMIN = """
from django.contrib import admin
from django.contrib.auth import get_user_model
client.force_login(get_user_model().objects.create_superuser("root"))
ours = [model for model in admin.site._registry if model._meta.app_label == "poketalk_server"]
assert len(ours) > 10
for model in ours:
    path = f"/admin/poketalk_server/{model._meta.model_name}/"
    assert client.get(path).status_code == 200, path
"""
RUN_END = """
theirs = {"django_poketalk.models", "django_poketalk.apps", "django_poketalk.conf"}
assert not theirs & sys.modules.keys(), theirs & sys.modules.keys()
print("all checks passed")
"""
CORE = ["django.contrib.contenttypes", "django.contrib.auth"]
MIDDLEWARE = ["sessions.middleware.Session", "auth.middleware.Authentication"]


@pytest.mark.parametrize("with_admin", [False, True])
def test_the_service_runs_without_the_callers_side(tmp_path: Path, with_admin: bool) -> None:
    apps, middleware, templates, urls, run = [*CORE], [], "", URLS, RUN
    if with_admin:
        apps += [f"django.contrib.{name}" for name in ("sessions", "messages", "admin")]
        middleware = [
            f"django.contrib.{name}Middleware"
            for name in (*MIDDLEWARE, "messages.middleware.Message")
        ]
        templates, urls, run = TEMPLATES, URLS + ADMIN_URLS, RUN + RUN_ADMIN
    apps.append("django_poketalk.server")
    quoted = [", ".join(map(repr, apps)), ", ".join(map(repr, middleware)), templates]
    (tmp_path / "lonely.py").write_text(SETTINGS % tuple(quoted))
    (tmp_path / "lonely_urls.py").write_text(urls)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", run + RUN_END],
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "lonely",
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(django_poketalk.__file__).parent.parent}",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.endswith("all checks passed\n"), done.stderr
