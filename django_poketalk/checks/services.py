"""System checks of each service: what `POKETALK` itself and the entries of `SERVICES` say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings as project
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse

from ..backends import BaseBackend, get_backend, receives_webhooks
from ..backends.click2call import Click2CallBackend
from ..calls import caller_ids, limits
from ..calls.requesting import MOST
from ..conf import DEFAULT_SERVICE, OF_ONE_SERVICE, aliases, entry, service, settings, written_as
from ..events import incoming
from ..models import CallRequest
from ..protocol import eventurl, form_extensions, numbers

POSITIVE = (
    "connect_timeout",
    "read_timeout",
    "stale_after",
    "max_duration",
    "max_cost",
    "place_within",
)
NOT_NEGATIVE = ("calls_per_hour", "live_calls", "spend_per_day", "forget_numbers_after")
LONGEST_ALIAS = 40  # characters of the column


def check_services() -> Iterator[checks.CheckMessage]:
    """The checks of each service. What several services inherit is reported once."""
    yield from check_aliases()
    found: list[checks.CheckMessage] = []
    for alias in dict.fromkeys([DEFAULT_SERVICE, *aliases()]):
        for check in CHECKS:
            found += (message for message in check(alias) if message not in found)
    yield from found


def check_aliases() -> Iterator[checks.CheckMessage]:
    """E020: an alias is unusable. E021: a key is set twice. W014: no call has another service."""
    for alias in settings.services or ():
        if not (isinstance(alias, str) and 0 < len(alias) <= LONGEST_ALIAS):
            yield checks.Error(
                f"POKETALK['SERVICES'] has the alias {alias!r}.",
                hint=f"Make it a text of 1 to {LONGEST_ALIAS} characters.",
                id="poketalk.E020",
            )
    for field in OF_ONE_SERVICE:
        key = field.upper()
        if key in entry(DEFAULT_SERVICE) and key in project.POKETALK:
            yield checks.Error(
                f"The default service has two values for {key!r}: in POKETALK itself, and in its"
                " entry of SERVICES.",
                hint="Remove one of them.",
                id="poketalk.E021",
            )
    if len(aliases()) > 1 and settings.service_for is None:
        yield checks.Warning(
            f"POKETALK has several services, but all calls have the service {aliases()[0]!r}.",
            hint="Set SERVICE_FOR to the dotted path of a function that takes a call and returns"
            " an alias.",
            id="poketalk.W014",
        )


def check_service(alias: str) -> Iterator[checks.CheckMessage]:
    """E003: the backend is invalid. W001, W002: the service's URL, or the API key, is not set."""
    if alias not in aliases():
        return
    try:
        backend = get_backend(alias)
    except ImproperlyConfigured as error:
        hint = "Name a subclass of BaseBackend."
        yield checks.Error(str(error), hint=hint, id="poketalk.E003")
        return
    if not isinstance(backend, Click2CallBackend):
        return
    if not service(alias).url:
        yield checks.Warning(
            f"{_of(alias, 'URL')} is not set: no call can be placed.",
            hint="Name the service's URL, e.g. https://calls.example.com/index.php/api/click2call.",
            id="poketalk.W001",
        )
    if not service(alias).api_key:
        yield checks.Warning(
            f"{_of(alias, 'API_KEY')} is not set: the service will refuse every call.",
            hint="Set the key that the service's operator gave you, from the environment.",
            id="poketalk.W002",
        )


def check_events(alias: str) -> Iterator[checks.CheckMessage]:
    """E004: the EventURL is too long. E006: the event view has no URL. W003: events are disabled.
    W006: the base URL repeats the path of the event view.
    """
    name = written_as(alias, "EVENT_BASE_URL")
    if not service(alias).event_base_url:
        if has_webhooks(alias):
            return
        yield checks.Warning(
            f"{name} is not set: calls are placed blind, and no limit or hang-up can end them.",
            hint="Set the address under which the service reaches this site, e.g. https://crm.example.com.",
            id="poketalk.W003",
        )
        return
    try:
        incoming.event_url(_longest_call(alias))
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
        base = parts_of(service(alias).event_base_url).path.rstrip("/")
        if base and reverse("poketalk:event", args=["-"]).startswith(f"{base}/"):
            yield checks.Warning(
                f"{name} ends with {base}, with which the path of the events"
                " begins already: it would stand there twice.",
                hint="Leave the path out: scheme, host and port are enough.",
                id="poketalk.W006",
            )


def has_webhooks(alias: str) -> bool:
    """Whether the service reports by webhooks. False if its backend is invalid."""
    try:
        return receives_webhooks(alias)
    except ImproperlyConfigured:
        return False


def check_webhooks(alias: str) -> Iterator[checks.CheckMessage]:
    """E023: a backend cannot read the webhooks that it receives. W015: it cannot end calls."""
    if not has_webhooks(alias):
        return
    backend = get_backend(alias)
    name = written_as(alias, "BACKEND")
    if type(backend).parse_event is BaseBackend.parse_event:
        yield checks.Error(
            f"{name} receives webhooks, but does not define parse_event.",
            hint="Define it, or leave receives_webhooks False.",
            id="poketalk.E023",
        )
    if not backend.can_ask:
        yield checks.Warning(
            f"{name} receives webhooks, but can_ask is False: no limit or hang-up can end calls.",
            hint="Define hang_up and look_up, or set what they require.",
            id="poketalk.W015",
        )


def check_service_extensions(alias: str) -> Iterator[checks.CheckMessage]:
    """E016: an extension of the protocol is unknown."""
    known = form_extensions.KNOWN
    for name in service(alias).service_extensions:
        if name not in known:
            yield checks.Error(
                f"{_of(alias, 'SERVICE_EXTENSIONS')} has {name!r}, which is no extension.",
                hint=f"Known extensions: {', '.join(known)}.",
                id="poketalk.E016",
            )


def check_caller_id(alias: str) -> Iterator[checks.CheckMessage]:
    """E017: the caller ID is neither a number nor a function. W009: it is set in vain."""
    hint = "Give a phone number, or name a function that takes a call and returns one or ''."
    yield from _misconfigured(partial(caller_ids.check, alias), hint, "poketalk.E017")
    if service(alias).caller_id and not caller_ids.is_sent(alias):
        yield checks.Warning(
            f"{written_as(alias, 'CALLER_ID')} has no effect: it is not sent to the service"
            f" {alias!r}.",
            hint="Add 'caller_id' to SERVICE_EXTENSIONS if your service knows the field"
            " x_caller_id, else remove CALLER_ID.",
            id="poketalk.W009",
        )


def check_quiet_hours(alias: str) -> Iterator[checks.CheckMessage]:
    """E008: the quiet hours are invalid."""
    hint = "Give when they begin and end, e.g. ('21:00', '08:00'), or None for none."
    yield from _misconfigured(partial(limits.hours, alias), hint, "poketalk.E008")


def check_urls(alias: str) -> Iterator[checks.CheckMessage]:
    """E009: a URL is invalid, has no scheme or host, or is a base URL with a query."""
    urls = ("URL", "EVENT_BASE_URL", "CALLS_API")
    for key, url in ((each, getattr(service(alias), each.lower())) for each in urls):
        parts = parts_of(url)
        is_base = not (parts.query or parts.fragment) or key == "URL"
        if url and not (parts.scheme in ("http", "https") and parts.hostname and is_base):
            yield checks.Error(
                f"{written_as(alias, key)} is not a URL that can be used: {url!r}.",
                hint="Begin it with https:// and the host.",
                id="poketalk.E009",
            )


def check_ranges(alias: str) -> Iterator[checks.CheckMessage]:
    """E011: a duration or limit is zero or negative, or too large to be stored and signed."""
    rules = service(alias)
    for field in (*POSITIVE, *NOT_NEGATIVE):
        name = written_as(alias, field.upper())
        yield from range_problem(name, getattr(rules, field), field in POSITIVE)


def range_problem(name: str, value: Any, is_positive: bool) -> Iterator[checks.CheckMessage]:
    """E011 for a value that is out of range; None never is."""
    if value is None:
        return
    if is_positive:
        is_right, says = 0 < value <= MOST, f"more than 0, and not more than {MOST}"
    else:
        is_right, says = value >= 0, "0 or more, or None for no limit"
    if not is_right:
        yield checks.Error(f"{name} is {value}.", hint=f"Make it {says}.", id="poketalk.E011")


def check_countries(alias: str) -> Iterator[checks.CheckMessage]:
    """E012: a country does not exist."""
    rules = service(alias)
    regions = () if rules.default_region is None else (rules.default_region,)
    for key, codes in (
        ("DEFAULT_REGION", regions),
        ("ALLOWED_COUNTRIES", rules.allowed_countries or ()),
    ):
        for code in codes:
            if not numbers.is_country(code):
                yield checks.Error(
                    f"{written_as(alias, key)} has {code!r}, which is no country.",
                    hint="Name it by ISO 3166, in two capital letters: 'GB', not 'UK'.",
                    id="poketalk.E012",
                )


def check_currency(alias: str) -> Iterator[checks.CheckMessage]:
    """E025: a currency is no code of three capital letters."""
    currency = service(alias).currency
    if currency and not re.fullmatch("[A-Z]{3}", currency):
        yield checks.Error(
            f"{written_as(alias, 'CURRENCY')} is {currency!r}, which is no currency.",
            hint="Name it by ISO 4217, in three capital letters, such as 'EUR'.",
            id="poketalk.E025",
        )


def check_prefixes(alias: str) -> Iterator[checks.CheckMessage]:
    """E013: a prefix is invalid, or empty."""
    hint = "Write prefixes with + and the country code."
    yield from _misconfigured(partial(limits.allowed_prefixes, alias), hint, "poketalk.E013")


def _misconfigured(
    read: Callable[[], object], hint: str, ident: str
) -> Iterator[checks.CheckMessage]:
    """An error if reading the setting raises `ImproperlyConfigured`."""
    try:
        read()
    except ImproperlyConfigured as error:
        yield checks.Error(str(error), hint=hint, id=ident)


def parts_of(url: str) -> SplitResult:
    """The parts of the URL. Empty for an invalid URL, such as `http://[x` or `http://host:port`."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # is read only now
    except ValueError:
        return urlsplit("")
    return parts


def _of(alias: str, key: str) -> str:
    """The key of this service, which no other service inherits."""
    if alias == DEFAULT_SERVICE and not entry(alias):
        return f"POKETALK[{key!r}]"
    return f"POKETALK['SERVICES'][{alias!r}][{key!r}]"


def _longest_call(alias: str) -> CallRequest:
    """A call with the longest possible EventURL: the largest primary key and limits."""
    return CallRequest(
        service=alias, pk=10**18, max_duration=2**31 - 1, max_cost=Decimal("999999999.999999")
    )


CHECKS: tuple[Callable[[str], Iterator[checks.CheckMessage]], ...] = (
    check_service,
    check_events,
    check_webhooks,
    check_service_extensions,
    check_caller_id,
    check_quiet_hours,
    check_urls,
    check_ranges,
    check_countries,
    check_currency,
    check_prefixes,
)
