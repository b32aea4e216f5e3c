"""System checks do not query the database unless they are tagged as database checks: they also run
without a database, for example while an image is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.checks import CheckMessage, Tags
from django.core.checks.registry import registry
from django.db import connection
from django.test.utils import CaptureQueriesContext

Check = Callable[..., list[CheckMessage]]


def our_checks() -> list[Check]:
    """Our checks, in the same order in each test process: Django keeps them in a set."""
    found = registry.get_checks(include_deployment_checks=True)
    ours = [check for check in found if check.__module__.startswith("django_poketalk.")]
    return sorted(ours, key=lambda check: (check.__module__, check.__name__))


def queries_of(check: Check) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        check(app_configs=list(apps.get_app_configs()), databases=["default"])
    return [query["sql"] for query in captured.captured_queries]


def test_both_apps_have_checks() -> None:
    modules = {check.__module__ for check in our_checks()}

    assert {"django_poketalk.checks.configuration", "django_poketalk.server.checks"} <= modules


@pytest.mark.django_db
@pytest.mark.parametrize("check", our_checks(), ids=lambda check: check.__name__)
def test_a_check_does_not_query_the_database(check: Any) -> None:
    if Tags.database in check.tags:
        assert check(app_configs=None, databases=[]) == [], "it queries an unselected database"
    else:
        assert queries_of(check) == []


@pytest.mark.django_db
def test_a_check_that_queries_is_found_even_if_it_hides_the_error() -> None:
    def nosy(**kwargs: Any) -> list[CheckMessage]:
        Group.objects.count()
        return []

    [query] = queries_of(nosy)

    assert "auth_group" in query
