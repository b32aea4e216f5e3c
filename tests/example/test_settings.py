"""The example's settings are ready for deployment and read from the environment."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from .conftest import Manage, run

PRODUCTION = {
    "DJANGO_DEBUG": "0",
    "DJANGO_SECRET_KEY": "fifty-or-more-characters-that-differ-0123456789-abcdefghij",
    "CRM_URL": "https://crm.example.com",
    "POKETALK_API_KEY": "the-key",
}
READ = """
import json, sys
from pathlib import Path
from django.conf import settings

def text(value):
    return str(value) if isinstance(value, Path) else "to be translated, with the apps loaded"

print(json.dumps({name: getattr(settings, name, None) for name in sys.argv[1:]}, default=text))
"""


def read(var: Path, *names: str, **changes: str) -> dict[str, object]:
    """The values of these settings in the example, during development unless changed."""
    environment = {"DJANGO_SETTINGS_MODULE": "crm.settings", "DJANGO_DEBUG": "1", **changes}
    done = run("-c", READ, *names, var=var, **environment)
    assert done.returncode == 0, done.stderr
    values: dict[str, object] = json.loads(done.stdout)
    return values


def test_the_deployment_check_has_no_warning(manage: Manage) -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_models_and_migrations_agree(manage: Manage) -> None:
    done = manage("makemigrations", "--check", "--dry-run", "contacts")

    assert done.returncode == 0, done.stdout


def test_a_deployment_requires_a_secret_key(manage: Manage) -> None:
    done = manage("check", **{**PRODUCTION, "DJANGO_SECRET_KEY": ""})

    assert done.returncode != 0
    assert "DJANGO_SECRET_KEY is not set" in done.stderr


@pytest.mark.parametrize("weak", ["x", "x" * 60, "abcdefg" * 7, "django-insecure-" + "abcdefg" * 9])
def test_a_deployment_refuses_a_weak_secret_key(manage: Manage, weak: str) -> None:
    done = manage("check", **{**PRODUCTION, "DJANGO_SECRET_KEY": weak})

    assert done.returncode != 0
    assert "DJANGO_SECRET_KEY is too weak: give it 50 or more random characters." in done.stderr


def test_an_invalid_flag_is_named(manage: Manage) -> None:
    done = manage("check", DJANGO_DEBUG="perhaps")

    assert done.returncode != 0
    assert "DJANGO_DEBUG='perhaps' is neither yes nor no" in done.stderr


def test_a_site_url_without_scheme_is_named(manage: Manage) -> None:
    done = manage("check", CRM_URL="crm.example.com")

    assert done.returncode != 0
    assert "CRM_URL='crm.example.com'" in done.stderr


def test_the_development_key_is_generated_once_and_kept_private(tmp_path: Path) -> None:
    first = read(tmp_path, "SECRET_KEY")
    second = read(tmp_path, "SECRET_KEY")

    assert first == second
    assert len(str(first["SECRET_KEY"])) >= 50
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_sqlite_transactions_wait_for_each_other(tmp_path: Path) -> None:
    database = read(tmp_path, "DATABASES")["DATABASES"]["default"]  # type: ignore[index]

    assert database["NAME"] == str(tmp_path / "db.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]


def test_database_and_broker_come_from_the_environment(tmp_path: Path) -> None:
    values = read(
        tmp_path,
        *("DATABASES", "CELERY_BROKER_URL", "CELERY_BROKER_TRANSPORT_OPTIONS"),
        DATABASE_URL="postgres://crm:secret@db.example.com:5433/crm",
        CELERY_BROKER_URL="redis://broker.example.com/3",
    )

    database = values["DATABASES"]["default"]  # type: ignore[index]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example.com", 5433, "crm")
    assert values["CELERY_BROKER_URL"] == "redis://broker.example.com/3"
    assert values["CELERY_BROKER_TRANSPORT_OPTIONS"]["socket_timeout"] > 0  # type: ignore[index]


def test_events_go_to_loopback_only_when_both_sides_are_on_one_machine(tmp_path: Path) -> None:
    at_home = read(tmp_path, "POKETALK_SERVER", CRM_URL="http://127.0.0.1:8123")
    outside = read(tmp_path, "POKETALK_SERVER", **PRODUCTION)

    assert at_home["POKETALK_SERVER"] == {
        "EVENT_NETWORKS": ["127.0.0.1/32"],
        "EVENT_PORTS": [8123],
    }
    assert outside["POKETALK_SERVER"] == {"EVENT_NETWORKS": [], "EVENT_PORTS": [443]}


def test_the_limits_do_not_hinder_trying_the_demo_but_apply_to_a_deployment(tmp_path: Path) -> None:
    tried = read(tmp_path, "POKETALK")["POKETALK"]
    deployed = read(tmp_path, "POKETALK", **PRODUCTION)["POKETALK"]

    hourly = {
        "CALLS_PER_HOUR_PER_USER",
        "CALLS_PER_HOUR_PER_CALLEE",
        "CALLS_PER_HOUR_PER_CALLER_PHONE",
    }
    assert {tried[name] for name in hourly} == {1000}  # type: ignore[index]
    assert not hourly & set(deployed)  # type: ignore[call-overload]
