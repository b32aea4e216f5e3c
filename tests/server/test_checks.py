"""System checks of the service's settings, each with an id and a hint."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from django.core import checks
from django.test import override_settings

from django_poketalk.server import checks as ours


def found(given: Any, *, deploy: bool = False) -> list[checks.CheckMessage]:
    with override_settings(POKETALK_SERVER=given):
        # Without databases: Django's own check of a JSONField queries SQLite.
        messages = checks.run_checks(include_deployment_checks=deploy, databases=[])
    return [message for message in messages if str(message.id).startswith("poketalk_server.")]


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({}, []),
        ([], ["E001"]),
        ({"MAX_DURATOIN": 1}, ["E001"]),
        ({"MAX_DURATION": "1"}, ["E002"]),
        ({"TRUSTED_PROXIES": ["10.0.0.0/8", "10.0.0.0/33", "proxy"]}, ["E003", "E003"]),
        ({"EVENT_NETWORKS": ["10.0.0.0/8", "localhost"]}, ["E004"]),
        ({"MAX_DURATION": 0}, ["E005"]),
        ({"HOLD": 0}, ["E005"]),
        ({"SIP_CHECK_INTERVAL": -1}, ["E005"]),
        ({"SIP_CHECK_INTERVAL": 0}, []),
        ({"QUEUE_TIMEOUT": 0}, ["E005"]),
        ({"FORGET_NUMBERS_AFTER": 0}, ["E005"]),
        ({"FORGET_NUMBERS_AFTER": 1}, []),
        ({"LEASE": 0}, ["E005"]),
        ({"EVENT_INTERVAL": 0}, ["E005"]),
        ({"EVENT_CONNECTIONS_PER_HOST": 0}, ["E005"]),
        ({"EVENT_TIMEOUT": 0.0}, ["E005"]),
        ({"EVENT_TIMEOUT": float("nan")}, ["E005"]),
        ({"EVENT_PORTS": [80, 0, 65536]}, ["E006", "E006"]),
        ({"SIP_ADDRESS": "10.0.0.1:5060"}, ["E008"]),
        ({"SIP_ADDRESS": "switch.example.com"}, ["E008"]),
        ({"TRUSTED_PROXIES": ["0.0.0.0/0"]}, ["W001"]),
        ({"TRUSTED_PROXIES": ["::/0"]}, ["W001"]),
    ],
)
def test_each_invalid_setting_has_a_check_with_a_hint(given: Any, ids: list[str]) -> None:
    messages = found(given)
    assert [message.id for message in messages] == [f"poketalk_server.{number}" for number in ids]
    assert all(message.hint for message in messages) or given == []


def test_suggests_the_nearest_key_for_a_misspelled_one() -> None:
    [message] = found({"MAX_DURATOIN": 1})
    assert "MAX_DURATION" in str(message.hint)


@pytest.mark.parametrize("network", ["127.0.0.1", "0.0.0.0/0", "169.254.169.254", "::1", "::/0"])
def test_the_deployment_check_warns_of_internal_event_networks(network: str) -> None:
    given = {"EVENT_NETWORKS": [network]}
    assert found(given) == []
    [message] = found(given, deploy=True)
    assert message.id == "poketalk_server.W002"
    assert message.hint
    assert found({"EVENT_NETWORKS": ["10.1.0.0/16", "2001:db8::/32"]}, deploy=True) == []


@pytest.mark.parametrize(
    ("module", "package"), [("aiohttp", "aiohttp"), ("import_export", "django-import-export")]
)
def test_a_missing_package_names_the_extra_to_install(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else installed(name)
    )
    [message] = ours.check_extra()
    assert message.id == "poketalk_server.E007"
    assert package in message.msg
    assert "django-poketalk[server]" in str(message.hint)


def test_checks_do_not_query_the_database() -> None:
    # Without its mark, pytest-django refuses every query.
    assert found({"TRUSTED_PROXIES": ["10.0.0.1"]}, deploy=True) == []
