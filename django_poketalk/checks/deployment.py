"""System checks of `check --deploy`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings as project
from django.core import checks
from django.db import connections, router
from django.http.request import validate_host

from ..conf import aliases, service, settings, written_as
from ..models import CallRequest
from .configuration import check_keys
from .services import parts_of

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@checks.register("poketalk", deploy=True)
def check_encryption(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """W004, W005: the API key, or the events, would be sent without encryption."""
    if check_keys():
        return
    urls = {
        (written_as(alias, key), getattr(service(alias), key.lower()), ident)
        for alias in aliases()
        for key, ident in (("URL", "W004"), ("EVENT_BASE_URL", "W005"))
    }
    for name, url, ident in sorted(urls):
        parts = parts_of(url)
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            yield checks.Warning(
                f"{name} is not encrypted: {url}",
                hint="Use https, or the API key and what calls cost can be read and altered.",
                id=f"poketalk.{ident}",
            )


@checks.register("poketalk", deploy=True)
def check_phone_owners(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """W010: nobody verifies whose a phone is."""
    if not check_keys() and settings.verify_phones is None and settings.user_phones is None:
        yield checks.Warning(
            "POKETALK['VERIFY_PHONES'] is not set: users can enter the number of any phone as"
            " their own, and let it ring.",
            hint="Set 'staff', or the dotted path of a function that sends a code to the phone.",
            id="poketalk.W010",
        )


@checks.register("poketalk", deploy=True)
def check_budgets(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """W013: one wrong or forged report can use up a budget."""
    if check_keys():
        return
    rules = [service(alias) for alias in aliases()]
    is_limited = (settings.spend_per_day, settings.spend_per_day_per_user) != (None, None)
    if any(each.max_cost is None and (is_limited or each.spend_per_day) for each in rules):
        yield checks.Warning(
            "POKETALK has a budget for a day, but no MAX_COST: any reported cost of a call counts.",
            hint="Set MAX_COST, so that a call counts up to twice that.",
            id="poketalk.W013",
        )


@checks.register("poketalk", deploy=True)
def check_host(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """W007: Django would answer all events with 400."""
    if check_keys():
        return
    for url in sorted({service(alias).event_base_url for alias in aliases()}):
        host = parts_of(url).hostname or ""
        netloc = f"[{host}]" if ":" in host else host
        if host and not validate_host(netloc, project.ALLOWED_HOSTS):
            yield checks.Warning(
                f"EVENT_BASE_URL has the host {host}, which is not in ALLOWED_HOSTS: events would"
                " be answered with 400.",
                hint="Add it, unless your proxy sends another Host on to this site.",
                id="poketalk.W007",
            )


@checks.register("poketalk", deploy=True)
def check_prepared_statements(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """I001: PostgreSQL parses and plans the statement of each event anew. Projects behind a pooler,
    which set `DISABLE_SERVER_SIDE_CURSORS`, may not be able to change that.
    """
    alias = router.db_for_write(CallRequest)
    if alias not in connections:  # E015
        return
    connection: Any = connections[alias]
    if connection.vendor != "postgresql" or connection.Database.__name__ != "psycopg":
        return
    if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        return
    options = connection.settings_dict["OPTIONS"]
    if not options.get("server_side_binding") or options.get("prepare_threshold") is None:
        yield checks.Info(
            "PostgreSQL parses and plans the statement that records events for each event.",
            hint="Set 'server_side_binding': True and 'prepare_threshold': 5 in the OPTIONS of the"
            " database, unless PgBouncer or another pooler forbids prepared statements.",
            id="poketalk.I001",
        )
