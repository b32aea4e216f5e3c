"""The suite for backends fails for broken ones, each for its reason."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[3]
CHOSEN = (
    "never_sent_again and (CLOSED_LATER or RESET_LATER)",
    *("cut_at_any_byte", "error_of_the_server", "redirects", "forged"),
    *("described_without", "hang_up_in_each_phase"),
)
NAMES = {
    "test_after_the_first_byte_an_order_is_never_sent_again": "failure",
    "test_an_answer_that_is_cut_at_any_byte_is_not_believed": "cut",
    "test_an_error_of_the_server_is_unknown": "error",
    "test_redirects_are_not_followed": "redirects",
    "test_forged_reports_are_refused": "forged",
    "test_the_request_is_described_without_the_key": "described",
    "test_a_person_can_hang_up_in_each_phase": "hang-up",
}
# What each of them gets wrong
REASONS = {
    "TestHasty": {"failure", "cut", "error", "redirects"},
    "TestCredulous": {"failure", "cut", "error", "redirects"},
    "TestFollowing": {"redirects"},
    "TestTrusting": {"forged"},
    "TestTalkative": {"described"},
    "TestDeaf": {"hang-up"},
}


@pytest.mark.timeout(300)
def test_each_broken_backend_fails_for_its_reason() -> None:
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    chosen = " or ".join(f"({each})" for each in CHOSEN)
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-k", chosen, "tests/caller/backends/broken_backends.py"),
        ],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    failed: dict[str, set[str]] = defaultdict(set)
    for case, test in re.findall(r"^FAILED \S+::(\w+)::(\w+)", run.stdout, re.MULTILINE):
        failed[case].add(NAMES[test])
    assert failed == REASONS, run.stdout[-3000:]
    assert "passed" in run.stdout
