"""The system checks of the caller's side. Each has a unique id and a hint."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from celery import Celery
from django.core import checks
from django.db import connection

from django_poketalk.checks.deployment import check_prepared_statements
from django_poketalk.conf import Settings
from django_poketalk.conf import settings as poketalk_settings
from django_poketalk.shared import app_settings

OF_POSTGRESQL = "poketalk.I001"  # with the settings of the tests


def found(deploy: bool = False) -> dict[str, checks.CheckMessage]:
    messages = checks.run_checks(tags=["poketalk"], include_deployment_checks=deploy)
    return {each.id: each for each in messages if each.id and each.id != OF_POSTGRESQL}


def send(phone: Any, code: str) -> None:
    """A sender of codes."""


@pytest.mark.parametrize(
    ("change", "idents"),
    [
        ({}, ["poketalk.W010"]),
        ({"VERIFY_PHONES": "staff"}, []),
        ({"VERIFY_PHONES": "tests.caller.test_checks.send"}, []),
        ({"USER_PHONES": "tests.caller.test_checks.found"}, []),
        ({"VERIFY_PHONES": "staff", "PHONES_PAGE": False}, []),
        (
            {"VERIFY_PHONES": "tests.caller.test_checks.send", "PHONES_PAGE": False},
            ["poketalk.W012"],
        ),
        ({"INTERNAL_NUMBERS": "1[0-9]{3}", "VERIFY_PHONES": "staff"}, ["poketalk.W011"]),
        (
            {
                "INTERNAL_NUMBERS": "1[0-9]{3}",
                "SERVICE_EXTENSIONS": ["internal_numbers"],
                "VERIFY_PHONES": "staff",
            },
            [],
        ),
    ],
)
def test_warnings_about_phones(change: dict[str, Any], idents: list[str], poketalk: Any) -> None:
    """Somebody should verify phones, and the service should know internal numbers."""
    poketalk(**change)

    assert [*found(deploy=True)] == idents


def test_the_settings_of_the_tests_pass(poketalk: Any) -> None:
    poketalk(VERIFY_PHONES="staff")

    assert found(deploy=True) == {}


@pytest.mark.parametrize(
    ("change", "ident", "says"),
    [
        ({"MAX_DURATON": 60}, "poketalk.E001", "MAX_DURATION"),
        ({"max_duration": 60}, "poketalk.E001", "MAX_DURATION"),
        ({"MAX_DURATION": "60"}, "poketalk.E002", "int"),
        ({"MAX_DURATION": True}, "poketalk.E002", "int"),
        ({"MAX_COST": 1.5}, "poketalk.E002", "Decimal"),
        ({"VETO_RULES": "crm.rules.office_hours"}, "poketalk.E002", "tuple"),
        ({"BACKEND": "nowhere.Backend"}, "poketalk.E003", "BaseBackend"),
        ({"BACKEND": "decimal.Decimal"}, "poketalk.E003", "BaseBackend"),
        ({"EVENT_BASE_URL": f"https://{'crm.' * 40}example.com"}, "poketalk.E004", "255"),
        ({"TRUSTED_PROXIES": ["10.0.0.0/99"]}, "poketalk.E005", "CIDR"),
        ({"VETO_RULES": ["nowhere.rule"]}, "poketalk.E007", "reason"),
        ({"VETO_RULES": ["string.digits"]}, "poketalk.E007", "reason"),
        ({"EVENT_BASE_URL": ""}, "poketalk.W003", "https://"),
        ({"USER_PHONES": "nowhere.phones"}, "poketalk.E018", "dotted path"),
        ({"MAY_CALL_ABOUT": "nowhere.rule"}, "poketalk.E018", "dotted path"),
        ({"VISIBLE_CALLS": "nowhere.visible"}, "poketalk.E018", "dotted path"),
        ({"VERIFY_PHONES": "sms"}, "poketalk.E018", "dotted path"),
        ({"VERIFY_PHONES": "string.digits"}, "poketalk.E018", "dotted path"),
        ({"INTERNAL_NUMBERS": "["}, "poketalk.E019", "[1-7]"),
        ({"URL": "calls.example.com/index.php"}, "poketalk.E009", "https://"),
        ({"URL": "ftp://calls.example.com/"}, "poketalk.E009", "https://"),
        ({"EVENT_BASE_URL": "crm.example.com"}, "poketalk.E009", "https://"),
        ({"EVENT_BASE_URL": "https://"}, "poketalk.E009", "host"),
        ({"EVENT_BASE_URL": "http://[x"}, "poketalk.E009", "http://[x"),
        ({"URL": "http://[x"}, "poketalk.E009", "http://[x"),
        ({"URL": "http://calls.example.com:port/"}, "poketalk.E009", ":port"),
        ({"EVENT_BASE_URL": "https://crm.example.com/?a=b"}, "poketalk.E009", "?a=b"),
        ({"MAX_DURATION": 0}, "poketalk.E011", "MAX_DURATION"),
        ({"MAX_COST": Decimal(0)}, "poketalk.E011", "MAX_COST"),
        ({"READ_TIMEOUT": 0.0}, "poketalk.E011", "READ_TIMEOUT"),
        ({"PLACE_WITHIN": -1}, "poketalk.E011", "PLACE_WITHIN"),
        ({"MAX_DURATION": 10**10}, "poketalk.E011", "MAX_DURATION"),
        ({"CALLS_PER_HOUR": -1}, "poketalk.E011", "None"),
        ({"SPEND_PER_DAY": Decimal(-1)}, "poketalk.E011", "None"),
        ({"FORGET_NUMBERS_AFTER": -90}, "poketalk.E011", "None"),
        ({"ALLOWED_PREFIXES": ["+4420", ""]}, "poketalk.E013", "''"),
        ({"ALLOWED_PREFIXES": ["0044"]}, "poketalk.E013", "0044"),
        ({"EVENT_BASE_URL": "https://crm.example.com/poketalk/"}, "poketalk.W006", "/poketalk"),
        ({"DEFAULT_REGION": "UK"}, "poketalk.E012", "GB"),
        ({"ALLOWED_COUNTRIES": ["GB", "de"]}, "poketalk.E012", "'de'"),
        ({"SERVICES": []}, "poketalk.E002", "SERVICES"),
        ({"SERVICES": {"acme": {"UR": "https://x.example"}}}, "poketalk.E001", "'URL'"),
        ({"SERVICES": {"acme": {"VETO_RULES": []}}}, "poketalk.E001", "['acme']"),
        ({"SERVICES": {"acme": {"READ_TIMEOUT": "3"}}}, "poketalk.E002", "['acme']"),
        ({"SERVICES": {"acme": {"BACKEND": "nowhere.Backend"}}}, "poketalk.E003", "'acme'"),
        ({"SERVICES": {"acme": {"URL": "calls"}}}, "poketalk.E009", "['acme']['URL']"),
        ({"SERVICES": {"acme": {"LIVE_CALLS": -1}}}, "poketalk.E011", "['acme']['LIVE_CALLS']"),
        ({"SERVICES": {"acme": {"MAX_DURATION": 0}}}, "poketalk.E011", "['acme']"),
        ({"SERVICES": {"acme": {"DEFAULT_REGION": "UK"}}}, "poketalk.E012", "['acme']"),
        ({"SERVICES": {"acme": {"ALLOWED_PREFIXES": ["0"]}}}, "poketalk.E013", "['acme']"),
        ({"SERVICES": {"acme": {"SERVICE_EXTENSIONS": ["x"]}}}, "poketalk.E016", "['acme']"),
        ({"SERVICES": {"acme": {"CALLER_ID": "no"}}}, "poketalk.E017", "['acme']"),
        ({"SERVICES": {"acme": {"QUIET_HOURS": ("9", "8")}}}, "poketalk.E008", "['acme']"),
        ({"SERVICES": {"acme": {"EVENT_BASE_URL": ""}}}, "poketalk.W003", "['acme']"),
        ({"SERVICES": {"acme": {}}}, "poketalk.W001", "['acme']['URL']"),
        ({"SERVICES": {"acme": {}}}, "poketalk.W002", "['acme']['API_KEY']"),
        ({"SERVICES": {"acme": {}}}, "poketalk.W014", "SERVICE_FOR"),
        ({"SERVICES": {"a" * 41: {}}}, "poketalk.E020", "40"),
        ({"SERVICES": {"default": {"API_KEY": "k"}}}, "poketalk.E021", "API_KEY"),
        ({"SERVICE_FOR": "nowhere.service_for"}, "poketalk.E018", "SERVICE_FOR"),
    ],
)
def test_an_invalid_setting_is_reported(
    settings: Any, change: dict[str, Any], ident: str, says: str
) -> None:
    settings.POKETALK = {**settings.POKETALK, **change}

    message = found()[ident]

    assert says in f"{message.msg} {message.hint}"


@pytest.mark.parametrize(("key", "ident"), [("URL", "poketalk.W001"), ("API_KEY", "poketalk.W002")])
def test_a_missing_url_or_key_is_reported(settings: Any, key: str, ident: str) -> None:
    settings.POKETALK = {
        **settings.POKETALK,
        "BACKEND": Settings.backend,
        key: "",
    }

    assert ident in found()


def test_what_services_inherit_is_reported_once(settings: Any) -> None:
    settings.POKETALK = {
        **settings.POKETALK,
        "READ_TIMEOUT": 0.0,
        "SERVICES": {"acme": {"URL": "http://acme.example.com/", "API_KEY": "k"}},
    }

    messages = checks.run_checks(tags=["poketalk"], include_deployment_checks=True)

    assert sorted(str(each.id) for each in messages if each.id != OF_POSTGRESQL) == [
        "poketalk.E011",
        "poketalk.W004",
        "poketalk.W010",
        "poketalk.W014",
    ]


def test_settings_that_are_not_a_dict_are_reported(settings: Any) -> None:
    settings.POKETALK = ["URL"]

    messages = app_settings.check("POKETALK", Settings, "poketalk")

    assert [message.id for message in messages] == ["poketalk.E001"]


def test_a_missing_url_of_the_event_view_is_reported(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.empty_urls"

    assert "poketalk.E006" in found()


@pytest.mark.parametrize(("key", "ident"), [("URL", "W004"), ("EVENT_BASE_URL", "W005")])
def test_unencrypted_urls_are_reported_in_production(settings: Any, key: str, ident: str) -> None:
    settings.POKETALK = {**settings.POKETALK, key: "http://crm.example.com"}

    assert f"poketalk.{ident}" in found(deploy=True)
    assert f"poketalk.{ident}" not in found(deploy=False)


@pytest.mark.parametrize("host", ["crm.example.org", "[2001:db8::1]"])
def test_a_host_that_is_not_allowed_is_reported_in_production(settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = ["crm.example.net"]
    settings.POKETALK = {**settings.POKETALK, "EVENT_BASE_URL": f"https://{host}:8443"}
    assert "poketalk.W007" in found(deploy=True)
    assert "poketalk.W007" not in found(deploy=False)

    settings.ALLOWED_HOSTS = [host]
    assert "poketalk.W007" not in found(deploy=True)


def test_a_base_url_with_another_path_is_accepted(settings: Any) -> None:
    settings.POKETALK = {**settings.POKETALK, "EVENT_BASE_URL": "https://crm.example.com/poke"}

    assert "poketalk.W006" not in found()


def test_a_project_without_time_zones_is_reported(settings: Any) -> None:
    settings.USE_TZ = False

    ids = {message.id for message in checks.run_checks(databases=[])}

    assert {"poketalk.E014", "poketalk_server.E009"} <= ids


def test_calls_in_another_database_are_reported(settings: Any) -> None:
    class Elsewhere:
        def db_for_write(self, model: Any, **hints: Any) -> str:
            return "calls"

    settings.DATABASE_ROUTERS = [Elsewhere()]

    assert "poketalk.E015" in found()


@pytest.mark.parametrize(
    ("settings_of_celery", "is_named"),
    [
        ({}, True),
        ({"broker_url": "redis://127.0.0.1/0"}, False),
        ({"broker_write_url": "redis://127.0.0.1/0"}, False),
        ({"task_always_eager": True}, False),
    ],
    ids=str,
)
def test_a_missing_broker_is_reported(
    monkeypatch: pytest.MonkeyPatch, settings_of_celery: dict[str, Any], is_named: bool
) -> None:
    app = Celery("projects", set_as_current=False)
    app.conf.update(settings_of_celery)
    monkeypatch.setattr("django_poketalk.checks.configuration.current_app", app)

    assert ("poketalk.W008" in found()) == is_named


def test_settings_are_read_at_every_access(settings: Any) -> None:
    settings.POKETALK = {"MAX_COST": Decimal(3)}

    assert poketalk_settings.max_cost == Decimal(3)
    settings.POKETALK = {}
    assert poketalk_settings.max_cost is None
    with pytest.raises(AttributeError, match="MAX_DEBITS"):
        _ = poketalk_settings.max_debits  # type: ignore[attr-defined]


WITH_PLANS = {"server_side_binding": True, "prepare_threshold": 5}


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="Only PostgreSQL keeps plans.")
@pytest.mark.parametrize(
    ("of_the_database", "is_reported"),
    [
        ({"OPTIONS": {}}, True),
        ({"OPTIONS": {"server_side_binding": True}}, True),
        ({"OPTIONS": {"prepare_threshold": 5}}, True),
        ({"OPTIONS": WITH_PLANS}, False),
        ({"OPTIONS": {}, "DISABLE_SERVER_SIDE_CURSORS": True}, False),
    ],
)
def test_events_that_are_planned_each_time_are_reported_in_production(
    of_the_database: dict[str, Any], is_reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in of_the_database.items():
        monkeypatch.setitem(connection.settings_dict, key, value)

    ids = [each.id for each in check_prepared_statements()]

    assert ids == ["poketalk.I001"] * is_reported
