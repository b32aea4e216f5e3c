"""The doctor runs its checks at the same time, each for a limited time, whatever they do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from django_poketalk.shared.doctor import Check, Finding, Level, Options, common_checks, diagnose
from django_poketalk.shared.doctor.checking import Result, error, info, ok, warning
from django_poketalk.shared.doctor.registry import all_checks, checks_of
from tests.relay import relayed

BRIEF = Options(seconds=0.3)


def check(
    name: str, find: Callable[[Options], Iterator[Finding]], needs: tuple[str, ...] = ()
) -> Check:
    return Check(name, name, find, needs)


def levels(results: list[Result]) -> dict[str, str]:
    return {result.check.name: result.level.value for result in results}


def found(find: Callable[[Options], Iterator[Finding]], **options: Any) -> list[tuple[str, str]]:
    """The level and the text of each finding."""
    return [(each.level.value, each.text) for each in find(Options(**options))]


def fine(options: Options) -> Iterator[Finding]:
    yield ok("It works.")


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that a check waits for, and that the end of the test brings."""
    event = threading.Event()
    yield event
    event.set()


def test_a_check_that_hangs_is_an_error_and_keeps_what_it_found(never: threading.Event) -> None:
    def hang(options: Options) -> Iterator[Finding]:
        yield ok("The first half works.")
        never.wait()

    began = time.monotonic()
    [result] = diagnose([check("hangs", hang)], BRIEF)

    assert time.monotonic() - began < 2
    assert [each.text for each in result.findings] == [
        "The first half works.",
        "No answer within 0 s.",
    ]
    assert result.level is Level.ERROR


def test_a_check_that_still_hangs_is_not_started_again(never: threading.Event) -> None:
    started = []

    def hang(options: Options) -> Iterator[Finding]:
        started.append(1)
        never.wait()
        yield ok("At last.")

    for _ in range(3):
        [result] = diagnose([check("hangs again", hang)], BRIEF)
        assert result.level is Level.ERROR

    assert started == [1]
    assert "No answer since" in result.findings[0].text


def test_checks_run_at_the_same_time_and_report_in_their_order() -> None:
    together = threading.Barrier(3, timeout=5)

    def meet(options: Options) -> Iterator[Finding]:
        together.wait()
        yield ok("They met.")

    results = [*diagnose([check(name, meet) for name in "abc"], Options(seconds=5))]

    assert levels(results) == {"a": "ok", "b": "ok", "c": "ok"}
    assert [result.check.name for result in results] == ["a", "b", "c"]


def test_a_check_that_raises_is_an_error_with_its_reason() -> None:
    def fail(options: Options) -> Iterator[Finding]:
        raise LookupError("no\nsuch thing")
        yield

    [result] = diagnose([check("fails", fail)], BRIEF)

    assert result.findings == (error("LookupError: no such thing"),)


def test_a_check_is_left_out_if_one_that_it_needs_fails(never: threading.Event) -> None:
    def fail(options: Options) -> Iterator[Finding]:
        yield error("Broken.")

    def hang(options: Options) -> Iterator[Finding]:
        never.wait()
        yield ok("At last.")

    checks = [
        check("broken", fail),
        check("silent", hang),
        check("good", fine),
        check("after broken", fine, ("broken",)),
        check("after silent", fine, ("silent",)),
        check("after good", fine, ("good", "not installed")),
    ]

    results = {result.check.name: result for result in diagnose(checks, BRIEF)}

    assert results["after broken"].findings == (info("Not checked, because of: broken."),)
    assert results["after silent"].findings == (info("Not checked, because of: silent."),)
    assert results["after good"].findings == (ok("It works."),)


def test_levels_are_in_order() -> None:
    assert sorted([Level.ERROR, Level.OK, Level.WARNING, Level.INFO]) == [
        Level.OK,
        Level.INFO,
        Level.WARNING,
        Level.ERROR,
    ]


def test_each_check_has_a_name_of_its_own_and_needs_only_known_ones() -> None:
    checks = all_checks()
    names = [each.name for each in checks]

    assert len(names) == len(set(names)) > 10
    for each in checks:
        assert set(each.needs) <= set(names[: names.index(each.name)]), each.name
    halves = ("poketalk", "poketalk_server")
    assert {check.name for label in halves for check in checks_of(label)} == set(names)


@pytest.mark.django_db
def test_an_unapplied_migration_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert next(level for level, _ in found(common_checks.check_database)) == "ok"

    monkeypatch.setattr(common_checks, "unapplied", lambda alias: ["poketalk.0010_heartbeats"])

    [level, text] = found(common_checks.check_database)[0]
    assert level == "error"
    assert "lacks migrations: 1, such as poketalk.0010_heartbeats." in text


@pytest.mark.django_db
def test_all_migrations_of_the_halves_are_applied() -> None:
    assert common_checks.unapplied("default") == []


@pytest.mark.django_db
def test_connections_for_each_request_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    connection: Any = connections["default"]
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no server to connect to.")
    assert "warning" in [level for level, _ in found(common_checks.check_database)]

    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 60)

    assert "warning" not in [level for level, _ in found(common_checks.check_database)]


@pytest.mark.django_db
def test_the_clock_agrees_with_the_databases() -> None:
    assert [level for level, _ in found(common_checks.check_clock)] == ["ok"]


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [(1.9, "ok", "agree"), (-5.0, "warning", "5.0 s behind"), (31.0, "error", "31.0 s ahead of")],
)
def test_clocks_that_differ_are_reported(seconds: float, level: str, words: str) -> None:
    finding = common_checks.compare_clocks(seconds, "that of the database")

    assert finding.level.value == level
    assert words in finding.text


@pytest.mark.django_db  # the check of JSON fields asks SQLite, the first time
def test_errors_of_the_system_checks_are_findings(settings: Any) -> None:
    settings.POKETALK = {**settings.POKETALK, "API_KYE": "x"}

    results = found(common_checks.check_settings)

    assert [text for level, text in results if level == "error"] == [
        "POKETALK['API_KYE'] is not a setting. (poketalk.E001)"
    ]


def test_static_files_must_be_collected_and_current(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = str(tmp_path)

    [level, text] = found(common_checks.check_static_files)[0]
    assert level == "error"
    assert "are missing, such as" in text

    call_command("collectstatic", interactive=False, verbosity=0)
    assert [level for level, _ in found(common_checks.check_static_files)] == ["ok"]

    (tmp_path / "poketalk" / "call.js").write_text("an older one")
    [level, text] = found(common_checks.check_static_files)[0]
    assert level == "error"
    assert "of another version, such as poketalk/call.js" in text


def test_with_debug_static_files_are_not_collected(settings: Any) -> None:
    settings.DEBUG = True

    assert [level for level, _ in found(common_checks.check_static_files)] == ["info"]


@pytest.mark.needs("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_frozen_database_is_reported_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    if connections["default"].vendor != "postgresql":
        pytest.skip("The relay is for PostgreSQL.")
    checks = [each for each in all_checks() if each.name in ("database", "clock", "switches")]
    with relayed(monkeypatch) as database:
        database.open.clear()
        began = time.monotonic()

        results = {result.check.name: result for result in diagnose(checks, Options(seconds=1))}

        assert time.monotonic() - began < 4
    [finding] = results["database"].findings
    assert (finding.level, finding.text) == (Level.ERROR, "No answer within 1 s.")
    assert "Start the database" in finding.advice
    assert results["clock"].findings == (info("Not checked, because of: database."),)
    assert results["switches"].findings == (info("Not checked, because of: database."),)


def test_findings_name_their_level() -> None:
    made = (ok("a"), info("a"), warning("a"), error("a"))

    assert [each.level.value for each in made] == ["ok", "info", "warning", "error"]
