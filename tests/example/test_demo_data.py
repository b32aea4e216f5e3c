"""The demo's data is fictional, and loading it again changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import run

pytestmark = pytest.mark.programs

# Ofcom, NANPA, ARCEP and ACMA reserve these for fiction.
FICTIONAL = re.compile(
    r"\+442079460\d{3}|\+1\d{3}55501\d{2}|\+3319900\d{4}|\+6125550\d{4}", re.ASCII
)
LOAD_TWICE = """
import json
from django.apps import apps
from contacts import demo_data
from contacts.models import Contact
from django_poketalk.models import Phone
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import ApiKey, PresentedNumber

def rows():
    return {
        model._meta.label: list(model.objects.order_by("pk").values_list("pk", flat=True))
        for model in apps.get_models()
        if model is not ApiKey
    }

first_key, first_rows = demo_data.load("tests"), rows()
second_key, second_rows = demo_data.load("tests"), rows()
print(json.dumps({
    "same": first_rows == second_rows,
    "first key": ApiKey.find(first_key) is not None,
    "second key": ApiKey.find(second_key) is not None,
    "funds": str(ApiKey.find(second_key).account.funds),
    "numbers": [*Contact.objects.values_list("phone", flat=True),
                *Phone.objects.values_list("number", flat=True),
                *(f"+{each.number}" for each in PresentedNumber.objects.all())],
    "british": [*Contact.objects.filter(phone__startswith="+44").values_list("phone", flat=True)],
}))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    var = tmp_path_factory.mktemp("data")
    assert run("manage.py", "migrate", "--verbosity=0", var=var).returncode == 0
    done = run("manage.py", "shell", "--verbosity=0", "--command", LOAD_TWICE, var=var)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_loading_again_adds_nothing(loaded: dict[str, object]) -> None:
    assert loaded["same"] is True


def test_each_loading_replaces_the_key(loaded: dict[str, object]) -> None:
    assert loaded["first key"] is False
    assert loaded["second key"] is True


def test_the_account_has_money(loaded: dict[str, object]) -> None:
    assert loaded["funds"] == "100.000"


def test_every_number_is_reserved_for_fiction(loaded: dict[str, object]) -> None:
    numbers = loaded["numbers"]
    assert isinstance(numbers, list)
    assert len(numbers) > 40
    assert [number for number in numbers if not FICTIONAL.fullmatch(number)] == []


def test_each_simulated_behavior_has_a_contact(loaded: dict[str, object]) -> None:
    endings = {str(number)[-2:] for number in loaded["british"]}  # type: ignore[attr-defined]
    rows = {"01", "02", "03", "04", "05", "06", "20", "21", *(f"1{n}" for n in range(10))}

    assert rows <= endings
    assert endings - rows, "no contact stays on the line"


def test_the_key_is_not_stored(loaded: dict[str, object], tmp_path: Path) -> None:
    """A backup of the database does not reveal the key."""
    script = (
        "from contacts import demo_data; from django.core.management import call_command;"
        "from io import StringIO; key = demo_data.load('tests'); out = StringIO();"
        "call_command('dumpdata', stdout=out); print(key in out.getvalue(), len(out.getvalue()))"
    )
    run("manage.py", "migrate", "--verbosity=0", var=tmp_path)

    done = run("manage.py", "shell", "--verbosity=0", "--command", script, var=tmp_path)

    found, length = done.stdout.split()
    assert found == "False"
    assert int(length) > 1000
