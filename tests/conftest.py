"""Fixtures and options for all tests."""

from __future__ import annotations

import gc
import os
import sysconfig
from pathlib import Path
from typing import Protocol

import django
import hypothesis
import pytest
from django.core.cache import cache
from django.test import SimpleTestCase

import django_poketalk

pytest_plugins = ["pytester", "tests.empty_tables", "tests.needs"]

# No test fails because the machine or the database is slow, or by chance: the same examples each
# time. Other examples are for `--full`.
hypothesis.settings.register_profile(
    "patient",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# For runs that repeat the same laws elsewhere: `--hypothesis-profile=brief`.
hypothesis.settings.register_profile(
    "brief", hypothesis.settings.get_profile("patient"), max_examples=10
)
# For `--full`.
hypothesis.settings.register_profile(
    "full",
    hypothesis.settings.get_profile("patient"),
    derandomize=False,
    max_examples=20_000,
)
hypothesis.settings.load_profile("patient")

PACKAGE = Path(django_poketalk.__file__).resolve().parent


@pytest.fixture(autouse=True)
def _nothing_was_asked_before() -> None:
    cache.clear()  # of the throttles: users of different tests have the same primary keys


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--installed",
        action="store_true",
        help="refuse to run unless the package under test is an installed one, not the checkout",
    )
    parser.addoption(
        "--database-only",
        action="store_true",
        help="run only tests that use the database: for one more database, after a whole run",
    )
    parser.addoption(
        "--full",
        action="store_true",
        help="repeat tests as often as the docs promise, which takes minutes to hours:"
        " choose some with -k, and add --timeout 0",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--database-only"):
        unused = [item for item in items if not uses_database(item)]
        config.hook.pytest_deselected(items=unused)
        items[:] = [item for item in items if item not in set(unused)]
    if hasattr(config, "workerinput"):  # no process is left alone with a long test at the end
        items.sort(key=patience, reverse=True)


def patience(item: pytest.Item) -> float:
    """The seconds of its own limit, which tests have that take long."""
    timeout = item.get_closest_marker("timeout")
    return float(timeout.args[0]) if timeout else 0


def uses_database(item: pytest.Item) -> bool:
    """Whether the result of a test can depend on the database."""
    fixtures = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    is_django_test_case = issubclass(getattr(item, "cls", None) or object, SimpleTestCase)
    return bool(fixtures) or is_django_test_case or any(item.iter_markers("django_db"))


def pytest_configure(config: pytest.Config) -> None:
    site_packages = Path(sysconfig.get_path("purelib")).resolve()
    if config.getoption("--installed") and not PACKAGE.is_relative_to(site_packages):
        raise pytest.UsageError(
            f"--installed: the tests import {PACKAGE}, which is not in {site_packages};"
            " run them from a folder that has no django_poketalk of its own."
        )
    if config.getoption("--full"):
        hypothesis.settings.load_profile("full")


def pytest_collection_finish() -> None:
    # A tenth of the time is saved: what stays until the end is not searched for garbage, and the
    # rest seldom.
    gc.freeze()
    gc.set_threshold(20_000)


class Times(Protocol):
    def __call__(self, everyday: int, *, full: int) -> int: ...


@pytest.fixture(scope="session")
def times(pytestconfig: pytest.Config) -> Times:
    """The number of repetitions: `times(20, full=10_000)`, where `full` applies with `--full`."""

    def choose(everyday: int, *, full: int) -> int:
        return full if pytestconfig.getoption("--full") else everyday

    return choose


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three more than there are cores, since many tests wait most of their time."""
    return (os.cpu_count() or 1) + 3


def pytest_report_header() -> str:
    return f"testing {PACKAGE} on Django {django.__version__}"
