"""The example on the page about signals works as printed, and the page names every signal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.dispatch import Signal

from django_poketalk import signals
from django_poketalk.calls import requesting
from tests.crm.models import Activity, Contact

from . import tree

PAGE = (tree.ROOT / "docs" / "howto" / "signals.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SIGNALS = {name: each for name, each in vars(signals).items() if isinstance(each, Signal)}


@pytest.fixture
def _connected() -> Iterator[None]:
    """Run the blocks with receivers, for a project whose app is `tests.crm`."""
    kept = {name: list(each.receivers) for name, each in SIGNALS.items()}
    names: dict[str, Any] = {}
    for block in BLOCKS:
        if "@receiver" in block:
            exec(block.replace("from crm.", "from tests.crm."), names)
    yield
    for name, each in SIGNALS.items():
        each.receivers[:] = kept[name]
        each.sender_receivers_cache.clear()


def test_the_model_of_the_example_is_that_of_this_test() -> None:
    [model] = [block for block in BLOCKS if block.startswith("class Activity")]

    models = (tree.ROOT / "tests" / "crm" / "models.py").read_text()
    assert model in models.replace(" -> str", "")


@pytest.mark.django_db
@pytest.mark.usefixtures("_connected")
def test_each_call_has_one_entry_on_the_timeline(
    django_capture_on_commit_callbacks: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    user = get_user_model().objects.create_user("anna")
    bob = Contact.objects.create(name="Bob", phone="+442079460123")

    with django_capture_on_commit_callbacks(execute=True):
        call = requesting.request_call(
            from_number="+442079460000", to_number=bob.phone, user=user, subject=bob
        )
        requesting.request_call(from_number="+442079460001", to_number=bob.phone, user=user)
    assert [entry.text for entry in bob.activities.all()] == ["Call: waiting, 0 s"]

    with django_capture_on_commit_callbacks(execute=True):
        requesting.cancel(call, user)
    assert [entry.text for entry in bob.activities.all()] == ["Call: canceled, 0 s"]
    assert Activity.objects.count() == 1
    assert capsys.readouterr().out == "anna called Bob: canceled, 0 seconds\n"


def test_the_page_and_the_module_describe_every_signal() -> None:
    table = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    described = re.findall(r"^- `(\w+)\(", str(signals.__doc__), re.MULTILINE)

    assert sorted(table) == sorted(described) == sorted(SIGNALS)
