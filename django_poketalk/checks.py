"""System checks of the settings of the caller's side. They do not query the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import SplitResult, urlsplit

from celery import current_app
from django.conf import settings as project
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, router
from django.http.request import validate_host
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from .backends import get_backend
from .backends.click2call import Click2CallBackend
from .calls import caller_ids, limits, verification
from .calls.requesting import MOST
from .conf import Settings, settings
from .events import incoming
from .models import CallRequest
from .protocol import eventurl, form_extensions, numbers
from .shared import app_settings
from .shared.client_address import networks

LOOPBACK = ("localhost", "127.0.0.1", "::1")
POSITIVE = (
    "connect_timeout",
    "read_timeout",
    "stale_after",
    "max_duration",
    "max_cost",
    "place_within",
    "button_max_age",
)
NOT_NEGATIVE = (
    "calls_per_hour_per_user",
    "calls_per_hour_per_callee",
    "calls_per_hour_per_caller_phone",
    "calls_per_hour",
    "live_calls_per_user",
    "live_calls",
    "spend_per_day_per_user",
    "spend_per_day",
    "forget_numbers_after",
)


@checks.register("poketalk")
def check_settings(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """Check the keys first. The values are only checked if they have the right types."""
    if wrong_keys := check_keys():
        yield from wrong_keys
        return
    yield from check_service()
    yield from check_events()
    yield from check_veto_rules()
    yield from check_service_extensions()
    yield from check_caller_id()
    yield from check_quiet_hours()
    yield from check_urls()
    yield from check_ranges()
    yield from check_phones()
    yield from check_countries()
    yield from check_prefixes()
    yield from app_settings.check_time_zone("poketalk.E014")
    yield from check_database()
    yield from check_broker()


def check_keys() -> list[checks.CheckMessage]:
    """E001, E002: unknown keys, and values of a wrong type."""
    return app_settings.check("POKETALK", Settings, "poketalk")


def check_service() -> Iterator[checks.CheckMessage]:
    """E003: the backend is invalid. W001, W002: the service's URL, or the API key, is not set."""
    try:
        backend = get_backend()
    except ImproperlyConfigured as error:
        hint = "Name a subclass of BaseBackend."
        yield checks.Error(str(error), hint=hint, id="poketalk.E003")
        return
    if not isinstance(backend, Click2CallBackend):
        return
    if not settings.url:
        yield checks.Warning(
            "POKETALK['URL'] is not set: no call can be placed.",
            hint="Name the service's URL, e.g. https://calls.example.com/index.php/api/click2call.",
            id="poketalk.W001",
        )
    if not settings.api_key:
        yield checks.Warning(
            "POKETALK['API_KEY'] is not set: the service will refuse every call.",
            hint="Set the key that the service's operator gave you, from the environment.",
            id="poketalk.W002",
        )


def check_events() -> Iterator[checks.CheckMessage]:
    """E004: the EventURL is too long. E005: a trusted proxy is invalid. E006: the event view has no
    URL. W003: events are disabled. W006: the base URL repeats the path of the event view.
    """
    try:
        networks(settings.trusted_proxies)
    except ImproperlyConfigured as error:
        yield checks.Error(
            f"POKETALK['TRUSTED_PROXIES']: {error}",
            hint="List addresses or CIDR networks.",
            id="poketalk.E005",
        )
    if not settings.event_base_url:
        yield checks.Warning(
            "POKETALK['EVENT_BASE_URL'] is not set: calls are placed blind, and no limit or"
            " hang-up can end them.",
            hint="Set the address under which the service reaches this site, e.g. https://crm.example.com.",
            id="poketalk.W003",
        )
        return
    try:
        incoming.event_url(_longest_call())
    except NoReverseMatch:
        yield checks.Error(
            "The event view has no URL.",
            hint="Add path('poketalk/', include('django_poketalk.urls')) to your urls.",
            id="poketalk.E006",
        )
    except ImproperlyConfigured as error:
        yield checks.Error(
            str(error),
            hint=f"The protocol allows {eventurl.MAX_LENGTH} characters.",
            id="poketalk.E004",
        )
    else:
        base = _split(settings.event_base_url).path.rstrip("/")
        if base and reverse("poketalk:event", args=["-"]).startswith(f"{base}/"):
            yield checks.Warning(
                f"POKETALK['EVENT_BASE_URL'] ends with {base}, with which the path of the events"
                " begins already: it would stand there twice.",
                hint="Leave the path out: scheme, host and port are enough.",
                id="poketalk.W006",
            )


def check_veto_rules() -> Iterator[checks.CheckMessage]:
    """E007: a veto rule is not a function."""
    for path in settings.veto_rules:
        if problem := _function_problem(path):
            yield checks.Error(
                f"POKETALK['VETO_RULES']: {path!r} {problem}.",
                hint="Name functions that take a call and an event and return a reason or ''.",
                id="poketalk.E007",
            )


def check_service_extensions() -> Iterator[checks.CheckMessage]:
    """E016: an extension of the protocol is unknown."""
    known = form_extensions.KNOWN
    for name in settings.service_extensions:
        if name not in known:
            yield checks.Error(
                f"POKETALK['SERVICE_EXTENSIONS'] has {name!r}, which is no extension.",
                hint=f"Known extensions: {', '.join(known)}.",
                id="poketalk.E016",
            )


def check_caller_id() -> Iterator[checks.CheckMessage]:
    """E017: the caller ID is neither a number nor a function. W009: it is set in vain."""
    hint = "Give a phone number, or name a function that takes a call and returns one or ''."
    yield from _misconfigured(caller_ids.check, hint, "poketalk.E017")
    if settings.caller_id and not caller_ids.is_sent():
        yield checks.Warning(
            "POKETALK['CALLER_ID'] has no effect: it is not sent to the service.",
            hint="Add 'caller_id' to SERVICE_EXTENSIONS if your service knows the field"
            " x_caller_id, else remove CALLER_ID.",
            id="poketalk.W009",
        )


def check_quiet_hours() -> Iterator[checks.CheckMessage]:
    """E008: the quiet hours are invalid."""
    hint = "Give when they begin and end, e.g. ('21:00', '08:00'), or None for none."
    yield from _misconfigured(limits.hours, hint, "poketalk.E008")


def check_urls() -> Iterator[checks.CheckMessage]:
    """E009: a URL is invalid, has no scheme or host, or is a base URL with a query."""
    for key, url in (("URL", settings.url), ("EVENT_BASE_URL", settings.event_base_url)):
        parts = _split(url)
        is_base = not (parts.query or parts.fragment) or key == "URL"
        if url and not (parts.scheme in ("http", "https") and parts.hostname and is_base):
            yield checks.Error(
                f"POKETALK[{key!r}] is not a URL that can be used: {url!r}.",
                hint="Begin it with https:// and the host.",
                id="poketalk.E009",
            )


def check_ranges() -> Iterator[checks.CheckMessage]:
    """E011: a duration or limit is zero or negative, or too large to be stored and signed."""
    for field in (*POSITIVE, *NOT_NEGATIVE):
        value = getattr(settings, field)
        if value is None:
            continue
        if field in POSITIVE:
            is_right, says = 0 < value <= MOST, f"more than 0, and not more than {MOST}"
        else:
            is_right, says = value >= 0, "0 or more, or None for no limit"
        if not is_right:
            yield checks.Error(
                f"POKETALK[{field.upper()!r}] is {value}.",
                hint=f"Make it {says}.",
                id="poketalk.E011",
            )


def check_countries() -> Iterator[checks.CheckMessage]:
    """E012: a country does not exist."""
    regions = () if settings.default_region is None else (settings.default_region,)
    for key, codes in (
        ("DEFAULT_REGION", regions),
        ("ALLOWED_COUNTRIES", settings.allowed_countries or ()),
    ):
        for code in codes:
            if not numbers.is_country(code):
                yield checks.Error(
                    f"POKETALK[{key!r}] has {code!r}, which is no country.",
                    hint="Name it by ISO 3166, in two capital letters: 'GB', not 'UK'.",
                    id="poketalk.E012",
                )


def check_prefixes() -> Iterator[checks.CheckMessage]:
    """E013: a prefix is invalid, or empty."""
    hint = "Write prefixes with + and the country code."
    yield from _misconfigured(limits.allowed_prefixes, hint, "poketalk.E013")


def check_phones() -> Iterator[checks.CheckMessage]:
    """E018: a function for phones cannot be imported. E019: the pattern of internal numbers is
    invalid. W011: internal numbers are allowed, but the service is not said to know them.
    """
    functions = {"USER_PHONES": settings.user_phones}
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
    if (
        settings.internal_numbers
        and form_extensions.INTERNAL_NUMBERS not in settings.service_extensions
    ):
        yield checks.Warning(
            "POKETALK['INTERNAL_NUMBERS'] is set, but calls from internal numbers are refused.",
            hint="Add 'internal_numbers' to POKETALK['SERVICE_EXTENSIONS'] if the service rings"
            " them.",
            id="poketalk.W011",
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


@checks.register("poketalk", deploy=True)
def check_encryption(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """W004, W005: the API key, or the events, would be sent without encryption."""
    if check_keys():
        return
    for key, url, ident in (
        ("URL", settings.url, "W004"),
        ("EVENT_BASE_URL", settings.event_base_url, "W005"),
    ):
        parts = _split(url)
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            yield checks.Warning(
                f"POKETALK[{key!r}] is not encrypted: {url}",
                hint="Use https, or the API key and what calls cost can be read and altered.",
                id=f"poketalk.{ident}",
            )


@checks.register("poketalk", deploy=True)
def check_phone_owners(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """W010: nobody verifies whose a phone is."""
    if check_keys():
        return
    if settings.verify_phones is None and settings.user_phones is None:
        yield checks.Warning(
            "POKETALK['VERIFY_PHONES'] is not set: users can enter the number of any phone as"
            " their own, and let it ring.",
            hint="Set 'staff', or the dotted path of a function that sends a code to the phone.",
            id="poketalk.W010",
        )


@checks.register("poketalk", deploy=True)
def check_host(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """W007: Django would answer all events with 400."""
    host = "" if check_keys() else _split(settings.event_base_url).hostname or ""
    netloc = f"[{host}]" if ":" in host else host
    if host and not validate_host(netloc, project.ALLOWED_HOSTS):
        yield checks.Warning(
            f"POKETALK['EVENT_BASE_URL'] has the host {host}, which is not in ALLOWED_HOSTS:"
            " events would be answered with 400.",
            hint="Add it, unless your proxy sends another Host on to this site.",
            id="poketalk.W007",
        )


def _misconfigured(
    read: Callable[[], object], hint: str, ident: str
) -> Iterator[checks.CheckMessage]:
    """An error if reading the setting raises `ImproperlyConfigured`."""
    try:
        read()
    except ImproperlyConfigured as error:
        yield checks.Error(str(error), hint=hint, id=ident)


def _split(url: str) -> SplitResult:
    """The parts of the URL. Empty for an invalid URL, such as `http://[x` or `http://host:port`."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # is read only now
    except ValueError:
        return urlsplit("")
    return parts


def _longest_call() -> CallRequest:
    """A call with the longest possible EventURL: the largest primary key and limits."""
    return CallRequest(pk=10**18, max_duration=2**31 - 1, max_cost=Decimal("999999999.999999"))
