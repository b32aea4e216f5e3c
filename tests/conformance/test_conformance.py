"""The conformance program passes a service that obeys the protocol, and fails six broken ones, each
for its reason.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from django_poketalk.conformance import __main__ as program
from django_poketalk.conformance.checks import CHECKS

from .service import (
    INTERVAL,
    KEY,
    GoodService,
    KeyFirst,
    Newline,
    Silent,
    Stubborn,
    Talkative,
    Unencoded,
)

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^(\w+) .* (PASSED|FAILED|SKIPPED)(?: \(.*\))?$", re.MULTILINE)
# The checks that need numbers and keys which only an operator knows
NEED_MORE = {"code_50", "code_60", "code_70", "code_90", "code_100"}
REASONS: dict[type[GoodService], set[str]] = {
    GoodService: set(),
    Newline: {"bodies"},
    KeyFirst: {"order_of_codes"},
    Unencoded: {"encoding"},
    Stubborn: {"hang_up_at_7"},
    Silent: {"ticks"},
    Talkative: {"one_end"},
}
Results = dict[type[GoodService], tuple[int, str]]


def judge(kind: type[GoodService]) -> tuple[int, str]:
    """The exit code and the report."""
    out = io.StringIO()
    with kind() as service:
        speed = f"{60 / INTERVAL:g}"
        arguments = [service.url, "--key", KEY, "--speed", speed, "--patience", "15"]
        code = program.main([*arguments, "--hang-up-within", "3"], out)
    return code, out.getvalue()


@pytest.fixture(scope="module")
def results() -> Results:
    """The report of each service. They are judged at the same time."""
    with ThreadPoolExecutor(len(REASONS)) as pool:
        return dict(zip(REASONS, pool.map(judge, REASONS), strict=True))


@pytest.mark.parametrize("kind", REASONS, ids=lambda kind: kind.__name__)
def test_each_service_fails_for_its_reason_alone(kind: type[GoodService], results: Results) -> None:
    code, report = results[kind]
    found = dict(LINE.findall(report))

    assert {name for name, result in found.items() if result == "FAILED"} == REASONS[kind], report
    assert {name for name, result in found.items() if result == "SKIPPED"} == NEED_MORE, report
    assert set(found) == set(CHECKS)
    assert code == bool(REASONS[kind])


def test_a_failure_is_explained(results: Results) -> None:
    _code, report = results[Newline]

    assert "--- bodies ---" in report
    assert r"b'10\n'" in report
    assert re.search(r"=== 19 passed, 1 failed, 5 skipped in [\d.]+ s ===\n\Z", report)
    assert KEY not in report


def test_a_service_that_cannot_be_reached_fails() -> None:
    out = io.StringIO()

    code = program.main(["http://127.0.0.1:9/", "--key", KEY, "--only", "code_10", "statuses"], out)

    assert code == 1
    assert "the service did not answer: ConnectionError" in out.getvalue()


def test_it_runs_as_a_program_without_settings() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "django_poketalk.conformance", "--list"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert [line.split()[0] for line in run.stdout.splitlines()] == [*CHECKS]


@pytest.mark.parametrize("arguments", [[], ["http://127.0.0.1/"], ["--only", "nothing"]])
def test_wrong_arguments_are_refused(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(program.KEY, raising=False)

    with pytest.raises(SystemExit) as exited:
        program.main(arguments)
    assert exited.value.code == 2


def test_the_docs_list_every_check() -> None:
    page = (ROOT / "docs" / "howto" / "conformance.md").read_text()
    cells = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)

    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == [*CHECKS]
