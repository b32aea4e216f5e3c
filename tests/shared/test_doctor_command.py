"""`poketalk_doctor` and the admin's health pages present the same results."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from django_poketalk.models import Heartbeat
from django_poketalk.shared.doctor import Check, Finding, Options, page, registry
from django_poketalk.shared.doctor import command as doctor_command
from django_poketalk.shared.doctor.checking import error, info, ok, warning
from tests.caller.people import staff
from tests.server.staff import staff as service_staff

HEALTH = "/admin/poketalk/heartbeat/"
SERVICE_HEALTH = "/admin/poketalk_server/switch/"
ASKED: list[Options] = []


def made(name: str, *findings: Finding, permission: str = "") -> Check:
    def find(options: Options) -> Iterator[Finding]:
        ASKED.append(options)
        yield from findings

    return Check(name, name.capitalize(), find, permission=permission)


FINE = made("first", ok("It <works>."))
WARNS = made("second", warning("It is slow.", "Make it fast."), info("It is blue."))
FAILS = made("third", error("It is broken.", "Mend it."))


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace all checks by these."""
    ASKED.clear()

    def use(*found: Check) -> None:
        monkeypatch.setattr(doctor_command, "all_checks", lambda: [*found])
        monkeypatch.setattr(page, "checks_of", lambda label: [*found])

    return use


def doctor(*arguments: str) -> tuple[int, str]:
    """The exit code and the output."""
    out = io.StringIO()
    try:
        call_command("poketalk_doctor", *arguments, stdout=out, no_color=True)
    except SystemExit as exit_:
        return int(exit_.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_each_finding_has_a_line_with_what_to_do_below(checks: Callable[..., None]) -> None:
    checks(FINE, WARNS, FAILS)

    code, text = doctor()

    assert code == 1
    assert text.splitlines() == [
        "ok       first          It <works>.",
        "warning  second         It is slow.",
        "                        → Make it fast.",
        "info     second         It is blue.",
        "error    third          It is broken.",
        "                        → Mend it.",
        "3 checks, errors: 1, warnings: 1.",
    ]


def test_the_exit_code_is_that_of_the_worst_finding(checks: Callable[..., None]) -> None:
    checks(FINE)
    assert doctor()[0] == 0
    assert doctor("--strict")[0] == 0
    checks(FINE, WARNS)
    assert doctor()[0] == 0
    assert doctor("--strict")[0] == 1
    checks(FAILS)
    assert doctor()[0] == 1


def test_json_is_for_programs(checks: Callable[..., None]) -> None:
    checks(FINE, WARNS)

    code, text = doctor("--json", "--strict")
    found = json.loads(text)

    assert code == 1
    assert found["ok"] is True
    assert [each["check"] for each in found["checks"]] == ["first", "second"]
    assert found["checks"][1]["level"] == "warning"
    assert found["checks"][1]["findings"] == [
        {"level": "warning", "found": "It is slow.", "advice": "Make it fast."},
        {"level": "info", "found": "It is blue.", "advice": ""},
    ]


def test_options_reach_the_checks(checks: Callable[..., None]) -> None:
    checks(FINE)

    doctor("--timeout", "2.5", "--from", "+442079460000", "--to", "+442079460123")

    assert [Options(2.5, "+442079460000", "+442079460123")] == ASKED


@pytest.mark.parametrize("arguments", [("--timeout", "0"), ("--from", "+442079460000")])
def test_wrong_options_are_refused(checks: Callable[..., None], arguments: Any) -> None:
    checks(FINE)

    with pytest.raises(CommandError):
        doctor(*arguments)
    assert ASKED == []


def test_the_output_is_in_english_in_any_language(
    checks: Callable[..., None], settings: Any
) -> None:
    settings.LANGUAGE_CODE = "de"
    checks(FINE)

    assert "It <works>." in doctor()[1]
    assert "checks, errors: 0" in doctor()[1]


@pytest.mark.django_db
def test_the_page_of_each_half_shows_the_same_findings(checks: Callable[..., None]) -> None:
    checks(FINE, WARNS, FAILS)
    pages = (
        (staff("watcher", "view_heartbeat"), HEALTH),
        (service_staff("view_switch"), SERVICE_HEALTH),
    )
    for client, path in pages:
        html = client.post(path, {"check": ""}).content.decode()

        for words in ("It &lt;works&gt;.", "It is slow.", "Make it fast.", "Mend it."):
            assert words in html, path
        assert 'data-level="error">Error<' in html
        assert "style=" not in html.split("poketalk-health")[1]


@pytest.mark.django_db
def test_a_page_checks_only_when_asked_and_not_for_long(checks: Callable[..., None]) -> None:
    checks(FINE)
    client = staff("watcher", "view_heartbeat")

    html = client.get(HEALTH).content.decode()
    assert "Run all checks" in html
    assert "It &lt;works" not in html
    client.post(HEALTH)
    assert ASKED == []

    client.post(HEALTH, {"check": ""})
    [options] = ASKED
    assert options.seconds <= 3


@pytest.mark.django_db
def test_a_page_requires_its_permission_and_that_of_each_check(
    checks: Callable[..., None],
) -> None:
    money = made("money", ok("ACME has 7 EUR."), permission="poketalk_server.view_account")
    checks(FINE, money)

    assert staff("other", "view_callrequest").post(HEALTH, {"check": ""}).status_code == 403
    html = service_staff("view_switch").post(SERVICE_HEALTH, {"check": ""}).content.decode()
    assert "It &lt;works" in html
    assert "ACME" not in html
    client = service_staff("view_switch", "view_account")
    assert "ACME has 7 EUR." in client.post(SERVICE_HEALTH, {"check": ""}).content.decode()


@pytest.mark.django_db
def test_starting_the_checks_requires_a_csrf_token(checks: Callable[..., None]) -> None:
    checks(FINE)
    user = staff("watcher", "view_heartbeat")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = user.cookies

    assert strict.post(HEALTH, {"check": ""}).status_code == 403
    assert ASKED == []


@pytest.mark.django_db
def test_the_page_says_when_the_sweep_ran() -> None:
    client = staff("watcher", "view_heartbeat")
    assert "never" in client.get(HEALTH).content.decode()

    Heartbeat.beat(Heartbeat.SWEEP)

    assert "<time datetime=" in client.get(HEALTH).content.decode()


def test_both_halves_have_checks_that_say_what_they_cover() -> None:
    names = {check.name for check in registry.all_checks()}

    assert names >= {"database", "clock", "static_files", "broker", "worker", "sweep", "service"}
    assert names >= {"events", "permissions", "switches", "gateways", "sample_call", "funds"}
    assert names >= {"settings", "ports", "deliveries"}
