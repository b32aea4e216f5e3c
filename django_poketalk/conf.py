"""The settings of the caller's side: the keys of `POKETALK` in the project's settings, in lower
case.

Import `settings` from here. It is typed, and reads the project's settings at each access.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .shared import app_settings


@dataclass(frozen=True)
class Settings:
    """The keys of `settings.POKETALK`, with their types and defaults. Durations are in seconds,
    money is in the account's currency.
    """

    # The service
    backend: str = "django_poketalk.backends.click2call.Click2CallBackend"
    url: str = ""
    api_key: str = ""
    connect_timeout: float = 3.05
    read_timeout: float = 10.0
    service_extensions: tuple[str, ...] = ()

    # Events
    event_base_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    stale_after: int = 180
    veto_rules: tuple[str, ...] = ()

    # Numbers
    default_region: str | None = None
    caller_id: str | None = None
    allowed_countries: tuple[str, ...] | None = None
    allowed_prefixes: tuple[str, ...] = ()
    allow_premium: bool = False
    allow_satellite: bool = False
    quiet_hours: tuple[str, str] | None = None

    # The users' own phones
    internal_numbers: str | None = None
    phones_page: bool = True
    user_phones: str | None = None
    verify_phones: str | None = None

    # Limits of one call
    max_duration: int = 3600
    max_cost: Decimal | None = None
    place_within: int = 120

    # Limits of all calls
    calls_per_hour_per_user: int | None = 60
    calls_per_hour_per_callee: int | None = 10
    calls_per_hour_per_caller_phone: int | None = 30
    calls_per_hour: int | None = None
    live_calls_per_user: int | None = 1
    live_calls: int | None = None
    spend_per_day_per_user: Decimal | None = None
    spend_per_day: Decimal | None = None

    # People and their data
    button_max_age: int = 12 * 3600
    forget_numbers_after: int | None = None


settings = app_settings.live("POKETALK", Settings)
