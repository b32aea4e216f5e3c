"""System checks: what is missing or mistaken in the settings, found before the first call. None of
them asks the database.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from .calls import limits
from .calls.quiet_hours import QuietHours
from .calls.requesting import MOST
from .conf import Settings, settings
from .events import incoming
from .models import CallRequest
from .protocol import eventurl, numbers
from .shared import app_settings
from .shared.client_address import networks

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MORE_THAN_NOTHING = (
    "connect_timeout",
    "read_timeout",
    "stale_after",
    "max_duration",
    "max_cost",
    "place_within",
    "button_max_age",
)
NOT_LESS_THAN_NOTHING = (
    "calls_per_hour_per_user",
    "calls_per_hour_per_callee",
    "calls_per_hour",
    "live_calls_per_user",
    "live_calls",
    "spend_per_day_per_user",
    "spend_per_day",
    "forget_numbers_after",
)


def register() -> None:
    """Register all of them with Django; those about production run with `check --deploy`."""
    checks.register(check_settings, "poketalk")
    checks.register(check_encryption, "poketalk", deploy=True)
    checks.register(check_host, "poketalk", deploy=True)


def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """The keys first; what the values mean is looked at once they have the right types."""
    return check_keys() or [
        *check_service(),
        *check_events(),
        *check_veto_rules(),
        *check_quiet_hours(),
        *check_urls(),
        *check_ranges(),
        *check_countries(),
        *check_prefixes(),
        *app_settings.check_time_zone("poketalk.E014"),
        *check_database(),
        *check_broker(),
    ]


def check_keys() -> list[checks.CheckMessage]:
    """E001, E002: unknown keys and values of a wrong type."""
    return app_settings.check("POKETALK", Settings, "poketalk")


def check_service() -> list[checks.CheckMessage]:
    """E003: no usable backend. W001, W002: no service, or no key, to place calls with."""
    try:
        backend = get_backend()
    except ImproperlyConfigured as error:
        return [
            checks.Error(str(error), hint="Name a subclass of BaseBackend.", id="poketalk.E003")
        ]
    if not isinstance(backend, Click2CallBackend):
        return []
    found: list[checks.CheckMessage] = []
    if not settings.url:
        found.append(
            checks.Warning(
                "POKETALK['URL'] is not set: no call can be placed.",
                hint="Name the service's URL, e.g. https://calls.example.com/index.php/api/click2call.",
                id="poketalk.W001",
            )
        )
    if not settings.api_key:
        found.append(
            checks.Warning(
                "POKETALK['API_KEY'] is not set: the service will refuse every call.",
                hint="Set the key that the service's operator gave you, from the environment.",
                id="poketalk.W002",
            )
        )
    return found


def check_events() -> list[checks.CheckMessage]:
    """E004: the event URL is too long. E005: a trusted proxy that is none. E006: no route. W003: no
    events at all. W006: a path that stands twice.
    """
    found: list[checks.CheckMessage] = []
    try:
        networks(settings.trusted_proxies)
    except ImproperlyConfigured as error:
        found.append(
            checks.Error(
                f"POKETALK['TRUSTED_PROXIES']: {error}",
                hint="List addresses or CIDR networks.",
                id="poketalk.E005",
            )
        )
    if not settings.event_base_url:
        found.append(
            checks.Warning(
                "POKETALK['EVENT_BASE_URL'] is not set: calls are placed blind, and no limit or"
                " hang-up can end them.",
                hint="Set the address under which the service reaches this site, e.g. https://crm.example.com.",
                id="poketalk.W003",
            )
        )
        return found
    try:
        incoming.event_url(_longest_call())
    except NoReverseMatch:
        found.append(
            checks.Error(
                "The event view has no URL.",
                hint="Add path('poketalk/', include('django_poketalk.urls')) to your urls.",
                id="poketalk.E006",
            )
        )
    except ImproperlyConfigured as error:
        found.append(
            checks.Error(
                str(error),
                hint=f"The protocol allows {eventurl.MAX_LENGTH} characters.",
                id="poketalk.E004",
            )
        )
    else:
        found.extend(_path_twice())
    return found


def check_veto_rules() -> list[checks.CheckMessage]:
    """E007: a veto rule that is no function."""
    return [
        checks.Error(
            f"POKETALK['VETO_RULES']: {path!r} {problem}.",
            hint="Name functions that take a call and an event and return a reason or ''.",
            id="poketalk.E007",
        )
        for path in settings.veto_rules
        if (problem := _problem_with(path))
    ]


def check_quiet_hours() -> list[checks.CheckMessage]:
    """E008: quiet hours that are none."""
    if settings.quiet_hours is None:
        return []
    try:
        QuietHours.parse(settings.quiet_hours)
    except ValueError as error:
        return [
            checks.Error(
                f"POKETALK['QUIET_HOURS']: {error}",
                hint="Give when they begin and end, e.g. ('21:00', '08:00'), or None for none.",
                id="poketalk.E008",
            )
        ]
    return []


def check_urls() -> Iterator[checks.CheckMessage]:
    """E009: a URL that cannot be read, or has no scheme or host; a base with a query, which the
    events' own follows.
    """
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
    """E011: a time or a limit of nothing or less, with which no call could be made, or beyond what
    can be stored and signed.
    """
    for field in (*MORE_THAN_NOTHING, *NOT_LESS_THAN_NOTHING):
        value = getattr(settings, field)
        if value is None:
            continue
        if field in MORE_THAN_NOTHING:
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
    """E012: a country that does not exist, in which no number would be found."""
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


def check_prefixes() -> list[checks.CheckMessage]:
    """E013: a prefix with which no number begins, or every one."""
    try:
        limits.allowed_prefixes()
    except ImproperlyConfigured as error:
        hint = "Write prefixes with + and the country code."
        return [checks.Error(str(error), hint=hint, id="poketalk.E013")]
    return []


def check_database() -> list[checks.CheckMessage]:
    """E015: calls in a database of their own."""
    alias = router.db_for_write(CallRequest)
    if alias == DEFAULT_DB_ALIAS:
        return []
    return [
        checks.Error(
            f"A database router keeps calls in {alias!r}: they belong beside the users.",
            hint=f"Leave the app label poketalk in {DEFAULT_DB_ALIAS!r}.",
            id="poketalk.E015",
        )
    ]


def check_broker() -> list[checks.CheckMessage]:
    """W008: no broker, mostly because the project's Celery app is not loaded with Django."""
    celery = current_app.conf
    if celery.broker_url or celery.broker_write_url or celery.task_always_eager:
        return []
    return [
        checks.Warning(
            "Celery has no broker: calls would wait until they expire.",
            hint="Set CELERY_BROKER_URL, and import your Celery app in your project's __init__.py.",
            id="poketalk.W008",
        )
    ]


def check_encryption(**kwargs: Any) -> list[checks.CheckMessage]:
    """W004, W005: the key, or the events, would travel in the clear."""
    if check_keys():
        return []
    found: list[checks.CheckMessage] = []
    for key, url, ident in (
        ("URL", settings.url, "W004"),
        ("EVENT_BASE_URL", settings.event_base_url, "W005"),
    ):
        parts = _split(url)
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            found.append(
                checks.Warning(
                    f"POKETALK[{key!r}] is not encrypted: {url}",
                    hint="Use https, or the API key and what calls cost can be read and altered.",
                    id=f"poketalk.{ident}",
                )
            )
    return found


def check_host(**kwargs: Any) -> list[checks.CheckMessage]:
    """W007: Django would answer every event with 400."""
    host = "" if check_keys() else _split(settings.event_base_url).hostname or ""
    shown = f"[{host}]" if ":" in host else host
    if not host or validate_host(shown, project.ALLOWED_HOSTS):
        return []
    return [
        checks.Warning(
            f"POKETALK['EVENT_BASE_URL'] has the host {host}, which is not in ALLOWED_HOSTS:"
            " events would be answered with 400.",
            hint="Add it, unless your proxy sends another Host on to this site.",
            id="poketalk.W007",
        )
    ]


def _path_twice() -> Iterator[checks.CheckMessage]:
    base = _split(settings.event_base_url).path.rstrip("/")
    if base and reverse("poketalk:event", args=["-"]).startswith(f"{base}/"):
        yield checks.Warning(
            f"POKETALK['EVENT_BASE_URL'] ends with {base}, with which the path of the events begins"
            " already: it would stand there twice.",
            hint="Leave the path out: scheme, host and port are enough.",
            id="poketalk.W006",
        )


def _split(url: str) -> SplitResult:
    """The URL's parts; none for what is no URL, such as `http://[x` or `http://host:port`."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # is read only now
    except ValueError:
        return urlsplit("")
    return parts


def _longest_call() -> CallRequest:
    """A call whose event URL is as long as it gets: the largest key and limits."""
    return CallRequest(pk=10**18, max_duration=2**31 - 1, max_cost=Decimal("999999999.999999"))


def _problem_with(path: str) -> str:
    try:
        rule = import_string(path)
    except (ImportError, ValueError) as error:
        return f"cannot be imported ({error})"
    return "" if callable(rule) else "is not a function"
