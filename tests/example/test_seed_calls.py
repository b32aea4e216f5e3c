"""`seed_calls` creates plausible calls, which are the same for the same seed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import run

pytestmark = pytest.mark.programs

FACTS = """
from collections import Counter
from django.db.models import Count, F
from django.contrib.auth.models import User
from django_poketalk.reports import outcomes
from django_poketalk.models import CallEvent, CallRequest, WrapUp
calls = list(CallRequest.objects.order_by("pk"))
assert [c.created_at for c in calls[:200]] == sorted(c.created_at for c in calls[:200])
assert sum(c.is_open for c in calls) == 3
facts = Counter(outcomes.of(c.placement, c.status, c.is_open) for c in calls)
assert facts["connected"] > 80 and facts["callee"] > 15 and facts["refused"] >= 1, facts
assert not CallEvent.objects.filter(received_at__lt=F("call__created_at")).exists()
assert CallEvent.objects.count() > 500
assert 40 < WrapUp.objects.exclude(disposition="").count() < facts["connected"]
for c in calls:
    events = list(c.events.order_by("received_at"))
    assert bool(events) == (c.status is not None)
    if events:
        assert (events[-1].status, events[-1].duration, events[-1].cost) == (
            c.status, c.duration, c.cost)
assert not User.objects.get(username="agent01").has_usable_password()
print("ids", ",".join(c.webcallid for c in calls[:200]))
"""


def manage(var: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run("manage.py", *words, var=var, seconds=100)


@pytest.fixture
def seeded(tmp_path: Path) -> Any:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert manage(empty, "migrate", "-v0").returncode == 0

    def seed(name: str) -> str:
        var = Path(shutil.copytree(empty, tmp_path / name))
        made = manage(var, "seed_calls", "200", "--days", "30", "--live", "3")
        assert made.returncode == 0, made.stderr
        assert "203 calls were written, 203 are there." in made.stdout
        facts = manage(var, "shell", "-v0", "-c", FACTS)
        assert facts.returncode == 0, facts.stderr
        return facts.stdout.partition("ids ")[2]

    return seed


def test_the_calls_are_plausible_and_reproducible(seeded: Any, tmp_path: Path) -> None:
    assert seeded("one") == seeded("two")

    again = manage(tmp_path / "one", "seed_calls", "200")
    assert again.returncode == 1
    assert "choose another with --seed" in again.stderr
    assert manage(tmp_path / "one", "seed_calls", "-5").returncode == 1
