"""System checks of settings, URLs, database and broker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from celery import current_app
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, router
from django.utils.module_loading import import_string

from ..calls import verification
from ..conf import ServiceSettings, Settings, aliases, service, settings
from ..models import CallRequest
from ..models.phones import users_keep_their_own
from ..protocol import form_extensions
from ..shared import app_settings
from ..shared.client_address import networks
from . import services
from .wrap_ups import check_wrap_ups

NOT_NEGATIVE = (
    "calls_per_hour_per_user",
    "calls_per_hour_per_callee",
    "calls_per_hour_per_caller_phone",
    "calls_per_hour",
    "live_calls_per_user",
    "live_calls",
    "spend_per_day_per_user",
    "spend_per_day",
)


@checks.register("poketalk")
def check_settings(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """Check the keys first. The values are only checked if they have the right types."""
    if wrong_keys := check_keys():
        yield from wrong_keys
        return
    yield from services.check_services()
    yield from check_proxies()
    yield from check_rules()
    yield from check_ranges()
    yield from check_phones()
    yield from check_wrap_ups()
    yield from app_settings.check_time_zone("poketalk.E014")
    yield from check_database()
    yield from check_broker()


def check_keys() -> list[checks.CheckMessage]:
    """E001, E002: unknown keys, and values of a wrong type."""
    found = app_settings.check("POKETALK", Settings, "poketalk")
    for alias, given in {} if found else (settings.services or {}).items():
        name = f"POKETALK['SERVICES'][{alias!r}]"
        found += app_settings.check_keys(name, ServiceSettings, given, "poketalk")
    return found


def check_proxies() -> Iterator[checks.CheckMessage]:
    """E005: a trusted proxy is invalid."""
    try:
        networks(settings.trusted_proxies)
    except ImproperlyConfigured as error:
        yield checks.Error(
            f"POKETALK['TRUSTED_PROXIES']: {error}",
            hint="List addresses or CIDR networks.",
            id="poketalk.E005",
        )


def check_ranges() -> Iterator[checks.CheckMessage]:
    """E011: a limit of all calls is negative, or the age of buttons out of range."""
    yield from services.range_problem(
        "POKETALK['BUTTON_MAX_AGE']", settings.button_max_age, is_positive=True
    )
    for field in NOT_NEGATIVE:
        name = f"POKETALK[{field.upper()!r}]"
        yield from services.range_problem(name, getattr(settings, field), is_positive=False)


RULES = {
    "VETO_RULES": "Name functions that take a call and an event and return a reason or ''.",
    "CALL_RULES": "Name functions that take a call and return a reason or ''.",
}


def check_rules() -> Iterator[checks.CheckMessage]:
    """E007: a veto rule or call rule is not a function."""
    for key, hint in RULES.items():
        for path in getattr(settings, key.lower()):
            if problem := _function_problem(path):
                message = f"POKETALK[{key!r}]: {path!r} {problem}."
                yield checks.Error(message, hint=hint, id="poketalk.E007")


def check_phones() -> Iterator[checks.CheckMessage]:
    """E018: a function of the project cannot be imported. E019: the pattern of internal numbers is
    invalid. W011: internal numbers are allowed, but the service is not said to know them. W012:
    codes are sent to phones, but their users cannot enter them.
    """
    functions = {
        "USER_PHONES": settings.user_phones,
        "MAY_CALL_ABOUT": settings.may_call_about,
        "VISIBLE_CALLS": settings.visible_calls,
        "SUBJECT_SEARCH": settings.subject_search,
        "SERVICE_FOR": settings.service_for,
    }
    if settings.verify_phones != verification.STAFF:
        functions["VERIFY_PHONES"] = settings.verify_phones
    for key, path in functions.items():
        if problem := _function_problem(path):
            yield checks.Error(
                f"POKETALK[{key!r}]: {path!r} {problem}.",
                hint="Name a function by its dotted path.",
                id="poketalk.E018",
            )
    try:
        re.compile(settings.internal_numbers or "")
    except re.error as error:
        yield checks.Error(
            f"POKETALK['INTERNAL_NUMBERS'] is not a regular expression: {error}.",
            hint="For example, r'[1-7][0-9]{3}' allows the numbers from 1000 to 7999.",
            id="poketalk.E019",
        )
    known = {name for alias in aliases() for name in service(alias).service_extensions}
    if settings.internal_numbers and form_extensions.INTERNAL_NUMBERS not in known:
        yield checks.Warning(
            "POKETALK['INTERNAL_NUMBERS'] is set, but calls from internal numbers are refused.",
            hint="Add 'internal_numbers' to POKETALK['SERVICE_EXTENSIONS'] if the service rings"
            " them.",
            id="poketalk.W011",
        )
    if verification.sends_codes() and not users_keep_their_own():
        yield checks.Warning(
            "POKETALK['VERIFY_PHONES'] sends codes to phones, but users cannot enter them.",
            hint="Set 'staff', or leave PHONES_PAGE and USER_PHONES at their defaults.",
            id="poketalk.W012",
        )


def _function_problem(path: str | None) -> str:
    """Why this is not the dotted path of a function, or ""."""
    if path is None:
        return ""
    try:
        return "" if callable(import_string(path)) else "is not a function"
    except (ImportError, ValueError) as error:
        return f"cannot be imported ({error})"


def check_database() -> Iterator[checks.CheckMessage]:
    """E015: calls are in another database than the users."""
    alias = router.db_for_write(CallRequest)
    if alias != DEFAULT_DB_ALIAS:
        yield checks.Error(
            f"A database router keeps calls in {alias!r}: they belong beside the users.",
            hint=f"Leave the app label poketalk in {DEFAULT_DB_ALIAS!r}.",
            id="poketalk.E015",
        )


def check_broker() -> Iterator[checks.CheckMessage]:
    """W008: there is no broker, usually because the project's Celery app is not imported."""
    celery = current_app.conf
    if not (celery.broker_url or celery.broker_write_url or celery.task_always_eager):
        yield checks.Warning(
            "Celery has no broker: calls would wait until they expire.",
            hint="Set CELERY_BROKER_URL, and import your Celery app in your project's __init__.py.",
            id="poketalk.W008",
        )
