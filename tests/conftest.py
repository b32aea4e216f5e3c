"""What all tests share."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import django
import hypothesis
import pytest

import django_poketalk

pytest_plugins = ["pytester", "tests.needs"]

# A busy machine or a slow database says nothing of a law: no test fails for the time it took.
hypothesis.settings.register_profile(
    "patient",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# Where the same laws have been tried at length elsewhere: `--hypothesis-profile=brief`.
hypothesis.settings.register_profile(
    "brief", hypothesis.settings.get_profile("patient"), max_examples=10
)
hypothesis.settings.load_profile("patient")

PACKAGE = Path(django_poketalk.__file__).resolve().parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--installed",
        action="store_true",
        help="refuse to run unless the package under test is an installed one, not the checkout",
    )
    parser.addoption(
        "--kills",
        type=int,
        default=2,
        help="how many switches are killed with live calls (tests/switch/test_many_switches.py)",
    )


def pytest_configure(config: pytest.Config) -> None:
    site_packages = Path(sysconfig.get_path("purelib")).resolve()
    if config.getoption("--installed") and not PACKAGE.is_relative_to(site_packages):
        raise pytest.UsageError(
            f"--installed: the tests import {PACKAGE}, which is not in {site_packages};"
            " run them from a folder that has no django_poketalk of its own."
        )


def pytest_report_header() -> str:
    return f"testing {PACKAGE} on Django {django.__version__}"
