"""The example is deployed without DEBUG, and never with what the demo leaves behind."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from .conftest import run
from .test_settings import PRODUCTION

pytestmark = pytest.mark.programs

START = "import crm.wsgi; from django.conf import settings; print('DEBUG', settings.DEBUG)"
PREPARE = """
from django.core.management import call_command
from contacts import demo_data
call_command("migrate", verbosity=0)
demo_data.load("demo")
"""
KEY_THEN_NONE = """
from django.conf import settings
from django.contrib.auth.models import User
from crm.deployment import check_demo_data
from django_poketalk.server.models import ApiKey
settings.DEBUG = False
for user in User.objects.all():
    user.set_password("not the name")
    user.save()
print([error.msg for error in check_demo_data(databases=["default"])])
ApiKey.objects.revoke()
print([error.msg for error in check_demo_data(databases=["default"])])
"""


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database and the secret key of a demo."""
    folder = tmp_path_factory.mktemp("demo")
    done = run("manage.py", "shell", "--verbosity=0", "-c", PREPARE, var=folder, seconds=100)
    assert done.returncode == 0, done.stderr
    return folder


def test_without_environment_the_web_server_does_not_start(tmp_path: Path) -> None:
    done = run("-c", START, var=tmp_path)

    assert done.returncode != 0
    assert "DJANGO_SECRET_KEY is not set" in done.stderr


def test_without_django_debug_there_is_no_debug(tmp_path: Path) -> None:
    done = run("-c", START, var=tmp_path, DJANGO_SECRET_KEY=PRODUCTION["DJANGO_SECRET_KEY"])

    assert done.stdout == "DEBUG False\n", done.stderr


def test_the_demos_users_and_keys_are_refused(demo_folder: Path) -> None:
    done = run("-c", START, var=demo_folder, **PRODUCTION)

    assert done.returncode != 0
    assert "user demo, user agent, API key 'demo' of account Ringdove" in done.stderr


def test_migrate_refuses_them_too(demo_folder: Path) -> None:
    done = run("manage.py", "migrate", var=demo_folder, **PRODUCTION)

    assert done.returncode != 0
    assert "(crm.E001) The database contains data of the demo: user demo" in done.stderr


def test_the_demos_secret_key_is_refused(demo_folder: Path) -> None:
    secret = (demo_folder / "secret_key").read_text()

    done = run("-c", START, var=demo_folder, **{**PRODUCTION, "DJANGO_SECRET_KEY": secret})

    assert done.returncode != 0
    assert "DJANGO_SECRET_KEY is the key of the development server" in done.stderr


def test_the_key_alone_is_refused_and_users_with_other_passwords_are_not(
    demo_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(demo_folder, tmp_path, dirs_exist_ok=True)

    done = run("manage.py", "shell", "--verbosity=0", "-c", KEY_THEN_NONE, var=tmp_path)

    assert done.stdout.splitlines() == [
        str(["The database contains data of the demo: API key 'demo' of account Ringdove."]),
        "[]",
    ], done.stderr


def test_only_the_owner_reads_the_database(demo_folder: Path) -> None:
    files = list(demo_folder.glob("db.sqlite3*"))

    assert files
    assert {oct(stat.S_IMODE(file.stat().st_mode)) for file in files} == {"0o600"}


def test_a_database_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    database = tmp_path / "db.sqlite3"
    database.touch(0o644)
    database.chmod(0o644)

    run("-c", START, var=tmp_path, **PRODUCTION)

    assert stat.S_IMODE(database.stat().st_mode) == 0o600
