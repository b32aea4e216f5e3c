"""The commands on the REST API page give the printed answers on the demo."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "rest-api.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
VARYING = {"id", "webcallid", "user", "created_by"}
MARK = "@@@@"


@dataclass(frozen=True, slots=True)
class Example:
    """A command on the page, and the answer printed below it, if any."""

    command: str
    answer: str | None


def examples() -> list[Example]:
    """The page's commands in order."""
    fences = FENCE.findall(PAGE.read_text())
    following = [*fences[1:], ("", "")]
    return [
        Example(text, after if kind == "json" else None)
        for (language, text), (kind, after) in zip(fences, following, strict=True)
        if language == "sh"
    ]


def run(commands: list[str], site: str) -> list[str]:
    """The output of each command, in one shell."""
    script = f"\necho '{MARK}'\n".join(commands).replace("http://127.0.0.1:8000", site)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(f"{MARK}\n")


def alike(printed: Any, real: Any, name: str = "") -> bool:
    """Whether the answer equals the printed one, apart from values that differ each time."""
    if isinstance(printed, dict) and isinstance(real, dict):
        pairs = [(printed[key], real.get(key), key) for key in printed]
        return list(printed) == list(real) and all(alike(*pair) for pair in pairs)
    if isinstance(printed, list) and isinstance(real, list):
        return len(printed) == len(real) and all(map(alike, printed, real))
    if name in VARYING:
        return type(printed) is type(real)
    if isinstance(printed, str) and isinstance(real, str) and MOMENT.fullmatch(printed):
        return bool(MOMENT.fullmatch(real))
    return bool(printed == real)


@pytest.fixture
def no_call(site: str) -> None:
    """The user `demo` in its initial state: another test may have left a call."""
    login = {"username": "demo", "password": "demo"}
    token = requests.post(f"{site}/api-token/", login, timeout=10).json()["token"]
    head = {"Authorization": f"Token {token}"}
    calls = f"{site}/poketalk/api/calls/"
    for call in requests.get(f"{calls}?open=true", headers=head, timeout=10).json()["results"]:
        requests.post(f"{calls}{call['id']}/hang-up/", headers=head, timeout=10)


@pytest.mark.programs
@pytest.mark.needs("curl")
@pytest.mark.usefixtures("no_call")
def test_each_command_gives_the_printed_answer(site: str) -> None:
    page = examples()
    written = run([example.command for example in page], site)

    assert len(written) == len(page) > 8
    for example, text in zip(page[1:], written[1:], strict=True):
        answer = json.loads(text)
        if example.answer is None:
            assert "code" not in answer, example.command + text
        else:
            assert alike(json.loads(example.answer), answer), example.command + text


def test_a_different_answer_is_detected() -> None:
    printed = {"id": 1, "at": "2026-05-04T09:30:00Z", "code": "a", "errors": [{"b": 1}]}

    assert alike(printed, {**printed, "id": 7, "at": "2027-01-01T00:00:00.5Z"})
    for change in ({"id": "1"}, {"at": None}, {"code": "b"}, {"errors": []}, {"more": 1}):
        assert not alike(printed, {**printed, **change})


@pytest.mark.programs
def test_a_token_is_required(site: str) -> None:
    answer = requests.get(f"{site}/poketalk/api/calls/", timeout=10)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Token"
    assert answer.json()["code"] == "not_authenticated"
