"""The settings of the caller's side: the keys of `POKETALK` in the project's settings, in lower
case.

Import `settings` from here, or `service` for those of one service. Both are typed, and read the
project's settings at each access.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from .shared import app_settings

DEFAULT_SERVICE = "default"  # the alias of the service that the keys of `POKETALK` itself describe


@dataclass(frozen=True)
class ServiceSettings:
    """The keys that a service of `SERVICES` may have, too. Durations are in seconds, money is in
    the account's currency.
    """

    # The service
    backend: str = "django_poketalk.backends.click2call.Click2CallBackend"
    url: str = ""
    api_key: str = ""
    connect_timeout: float = 3.05
    read_timeout: float = 10.0
    calls_api: str = ""
    service_extensions: tuple[str, ...] = ()
    options: Mapping[str, Any] | None = None
    currency: str = ""

    # Events
    event_base_url: str = ""
    stale_after: int = 180

    # Numbers
    default_region: str | None = None
    caller_id: str | None = None
    allowed_countries: tuple[str, ...] | None = None
    allowed_prefixes: tuple[str, ...] = ()
    allow_premium: bool = False
    allow_satellite: bool = False
    quiet_hours: tuple[str, str] | None = None

    # Limits of one call
    max_duration: int = 3600
    max_cost: Decimal | None = None
    place_within: int = 120

    # Limits of all calls
    calls_per_hour: int | None = None
    live_calls: int | None = None
    spend_per_day: Decimal | None = None

    # People and their data
    forget_numbers_after: int | None = None


@dataclass(frozen=True)
class Settings(ServiceSettings):
    """The keys of `settings.POKETALK`, with their types and defaults."""

    # Several services
    services: Mapping[str, Mapping[str, Any]] | None = None
    service_for: str | None = None

    # Events
    trusted_proxies: tuple[str, ...] = ()
    veto_rules: tuple[str, ...] = ()

    # Calls
    call_rules: tuple[str, ...] = ()

    # After a call
    dispositions: Mapping[str, Any] | None = None
    wrap_up_required: bool = False
    retry_after: int | None = 900

    # The users' own phones
    internal_numbers: str | None = None
    phones_page: bool = True
    user_phones: str | None = None
    verify_phones: str | None = None

    # Limits of all calls
    calls_per_hour_per_user: int | None = 60
    calls_per_hour_per_callee: int | None = 10
    calls_per_hour_per_caller_phone: int | None = 30
    live_calls_per_user: int | None = 1
    spend_per_day_per_user: Decimal | None = None

    # Pages
    base_template: str | None = None

    # People and their data
    button_max_age: int = 12 * 3600
    may_call_about: str | None = None
    visible_calls: str | None = None
    subject_search: str | None = None


settings = app_settings.live("POKETALK", Settings)

# What describes one service: no other service inherits it, least of all its key.
OF_ONE_SERVICE = ("backend", "url", "api_key", "calls_api", "service_extensions", "options")
# The limits of all calls, which a service may have for its own calls besides. None is inherited.
OWN_LIMITS = ("calls_per_hour", "live_calls", "spend_per_day")
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(ServiceSettings)}


class _LiveService:
    def __init__(self, alias: str) -> None:
        self._alias = alias

    def __getattr__(self, field: str) -> Any:
        if field not in _DEFAULTS:
            raise AttributeError(f"A service has no setting {field.upper()!r}.")
        given = entry(self._alias)
        if field.upper() in given:
            return given[field.upper()]
        is_default = self._alias == DEFAULT_SERVICE or self._alias not in (settings.services or ())
        if field in OWN_LIMITS or (field in OF_ONE_SERVICE and not is_default):
            return _DEFAULTS[field]
        return getattr(settings, field)


def service(alias: str) -> ServiceSettings:
    """The settings of the service with this alias: those of its entry in `SERVICES`, else those of
    `POKETALK` itself. Calls of a service that is not configured any more have those of the default
    service.
    """
    return cast("ServiceSettings", _LiveService(alias))


def entry(alias: str) -> Mapping[str, Any]:
    """The keys of this service in `SERVICES`. Empty if it is not there."""
    return (settings.services or {}).get(alias, {})


def written_as(alias: str, key: str) -> str:
    """Where the project wrote this key of the service, for error messages."""
    if key in entry(alias):
        return f"POKETALK['SERVICES'][{alias!r}][{key!r}]"
    return f"POKETALK[{key!r}]"


def aliases() -> list[str]:
    """The aliases of the services, the default one first. It is missing if nothing describes it,
    because the project only uses others.
    """
    others = [alias for alias in settings.services or () if alias != DEFAULT_SERVICE]
    is_described = bool(entry(DEFAULT_SERVICE) or settings.url or settings.api_key)
    if others and not is_described and settings.backend == _DEFAULTS["backend"]:
        return others
    return [DEFAULT_SERVICE, *others]
