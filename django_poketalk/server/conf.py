"""The service's settings: the keys of `POKETALK_SERVER` in the project's settings, in lower case.

`from django_poketalk.server.conf import settings` provides live, typed access.
"""

from __future__ import annotations

from dataclasses import dataclass

from django_poketalk.shared import app_settings


@dataclass(frozen=True)
class Settings:
    """The keys of `settings.POKETALK_SERVER`, with types and defaults. Durations are in seconds."""

    # Requests
    trusted_proxies: tuple[str, ...] = ()
    unique_custom: bool = False

    # Calls
    max_duration: int = 4 * 3600
    hold: int = 120
    queue_timeout: int = 30
    lease: int = 15

    # Switches
    switch_calls: int | None = None
    switch_calls_per_second: int | None = None
    drain: int = 0
    health_address: str = ""
    health_token: str = ""

    # Gateways
    gateway_password_variables: tuple[str, ...] = ()
    test_calls_per_hour: int = 30

    # SIP
    sip_address: str = ""
    sip_port: int = 5060
    sip_check_interval: int = 30

    # Events
    event_interval: int = 60
    event_timeout: float = 5.0
    event_connections_per_host: int = 20
    event_ports: tuple[int, ...] = (80, 443, 8000, 8080, 8443)
    event_networks: tuple[str, ...] = ()

    # People's data
    forget_numbers_after: int | None = None


settings = app_settings.live("POKETALK_SERVER", Settings)
