"""The code in the tutorial and on the testing page works exactly as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from . import tree

pytestmark = pytest.mark.programs

TUTORIAL = (tree.ROOT / "docs" / "tutorial.md").read_text()
TESTING = (tree.ROOT / "docs" / "howto" / "testing.md").read_text()
BLOCK = re.compile(r"```[\w+]+\n(.*?)```", re.DOTALL)
FILE = re.compile(r"(Replace|Create|Add to the end of) `([\w./]+)`")
NOT_INHERITED = ("DJANGO_", "POKETALK_", "CELERY_")

BEGIN = """
from django.core.management import call_command
call_command("startproject", "office", ".")
call_command("startapp", "people")
"""
GO_ON = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "office.settings"
django.setup()
from django.core.management import call_command
call_command("check")
call_command("makemigrations", "people")
call_command("migrate", verbosity=0)
exec(open("first_data.py").read())
"""


def write_files(folder: Path) -> None:
    """Write each file that the tutorial creates, changes or replaces: the code block after the
    sentence.
    """
    for sentence in FILE.finditer(TUTORIAL):
        block = BLOCK.search(TUTORIAL, sentence.end())
        assert block is not None, sentence[0]
        file = folder / sentence[2]
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = file.read_text() if sentence[1].startswith("Add") else ""
        file.write_text(kept + block[1])


def run(folder: Path, *arguments: str) -> str:
    """Run Python in the project's folder, and return its output. It must succeed."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(tree.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.timeout(600)
def test_the_tutorials_project_and_the_tests_of_the_testing_page_run(
    tmp_path: Path,
) -> None:
    run(tmp_path, "-c", BEGIN)
    write_files(tmp_path)

    output = run(tmp_path, "-c", GO_ON)

    assert set(re.findall(r"\(\w+\.[EW]\d+\)", output)) == {"(poketalk.W002)"}  # no key yet
    assert re.search(r"^API key: \S{30,}$", output, re.MULTILINE)

    [tests] = [block for block in BLOCK.findall(TESTING) if "TestCase" in block]
    (tmp_path / "people" / "tests.py").write_text(tests)

    output = run(tmp_path, "manage.py", "test")

    assert re.search(r"^Ran [1-9]\d* tests", output, re.MULTILINE)
    assert "\nOK\n" in output
