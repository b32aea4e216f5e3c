"""Measure the speed of the admin's pages with many calls, compared with a plain `ModelAdmin`.

    export DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench
    python example_project/manage.py migrate
    python example_project/manage.py seed_calls 1000000 --live 5
    python example_project/manage.py poketalk_totals
    python -m tests.benchmarks.admin_pages [--rounds 7]

Runs in one process, without a web server, on the existing data. It writes only a user and a
session. Rounds are interleaved. Compare the ratios between machines, not the times. To measure
another page, add a line to `pages()`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

sys.path.insert(0, str(Path(__file__).parents[2] / "example_project"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
os.environ.setdefault("DJANGO_SECRET_KEY", f"of this process alone: {os.urandom(32).hex()}")
django.setup()

from django.conf import settings as project  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import override_settings  # noqa: E402
from django.urls import clear_url_caches, path  # noqa: E402

from django_poketalk.models import CallRequest  # noqa: E402

CALLS = "/admin/poketalk/callrequest/"
COST = 10  # the number of its column in the list
WATCHED_EVERY = 2  # seconds, by live_board.js
STOCK = "/stock/poketalk/callrequest/"

stock = admin.AdminSite(name="stock")


@admin.register(CallRequest, site=stock)
class StockAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The simplest admin of calls."""

    list_display = (
        *("created_at", "from_number", "to_number", "user"),
        *("placement", "status", "duration", "cost"),
    )
    list_filter = ("placement", "status", "created_at")
    search_fields = ("webcallid", "from_number", "to_number", "user__username")
    date_hierarchy = "created_at"
    list_per_page = 50


def pages() -> dict[str, str]:
    """The measured pages: names and URLs."""
    newest = CallRequest.objects.latest()
    late = min(1000, CallRequest.objects.count() // 50)
    middle = CallRequest.objects.filter(pk__lte=newest.pk // 2, status=8).latest()
    long_ago = (newest.created_at - timedelta(days=200)).date().isoformat()
    number = middle.to_number.removeprefix("+")
    last = newest.created_at.date()
    year = f"first={last - timedelta(days=364)}&last={last}"
    live = "&".join(
        f"id={pk}" for pk in CallRequest.objects.open().values_list("pk", flat=True)[:50]
    )
    hierarchy = "&".join(
        f"created_at__{part}={getattr(newest.created_at, part)}" for part in ("year", "month")
    )
    found = {
        "stock: list": STOCK,
        "stock: list, this month": f"{STOCK}?{hierarchy}",
        "stock: search by number": f"{STOCK}?q={number}",
        "list": CALLS,
        "list, page 2": f"{CALLS}?p=2",
        f"list, page {late:,}": f"{CALLS}?p={late}",
        "search by number": f"{CALLS}?q=00{number}",
        "search by a beginning": f"{CALLS}?q=%2B{number[:5]}",
        "search by call id": f"{CALLS}?q={middle.webcallid}",
        "search by user": f"{CALLS}?q=agent07",
        "user": f"{CALLS}?user=agent07",
        "today": f"{CALLS}?day=today",
        "a day long ago": f"{CALLS}?day={long_ago}",
        "past 30 days": f"{CALLS}?day=30",
        "a day, refused": f"{CALLS}?day={long_ago}&outcome=refused",
        "live rows": f"{CALLS}live/?{live}",
        "sort by cost": f"{CALLS}?o=-{COST}",
        "sort by talk time": f"{CALLS}?o=-{COST - 1}",
        "live board": f"{CALLS}board/",
        "detail": f"{CALLS}{middle.pk}/change/",
        "report, past 30 days": f"{CALLS}reports/",
        "report, a year": f"{CALLS}reports/?{year}",
        "report, a year by user": f"{CALLS}reports/?{year}&by=user",
        "report, a year by country": f"{CALLS}reports/?{year}&by=country",
    }
    call_admin = admin.site.get_model_admin(CallRequest)
    for choices in call_admin.list_filter:
        for value in getattr(choices, "conditions", ()):
            found[f"{choices.parameter_name}={value}"] = (  # type: ignore[union-attr]
                f"{CALLS}?{choices.parameter_name}={value}"  # type: ignore[union-attr]
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    connection.ensure_connection()
    calls = CallRequest.objects.count()
    print(header(rounds))
    print(f"{calls:,} calls\n")
    client = Client(headers={"host": project.ALLOWED_HOSTS[0]})
    boss, _made = User.objects.get_or_create(
        username="benchmark", defaults={"is_staff": True, "is_superuser": True}
    )
    client.force_login(boss)
    times, in_sql = table(client, pages(), rounds)
    medians = {name: statistics.median(found) for name, found in times.items()}
    ratio = medians["stock: list"] / medians["list"]
    print(f"\nstock list / list   {ratio:.1f}   (goal: 6 or more, at 1,000,000 calls)")
    print(f"list, SQL   {statistics.median(in_sql['list']):.1f} ms   (goal: 10 ms or less)")
    year = max(median for name, median in medians.items() if name.startswith("report, a year"))
    print(f"slowest report of a year   {year:.0f} ms   (goal: 300 ms or less)")
    watchers = 50 / WATCHED_EVERY * unchanged_board(client, rounds) / (50 * medians["live board"])
    print(f"50 watchers / 50 page views a second   {watchers:.2f}   (goal: below 1)")


def unchanged_board(client: Client, rounds: int) -> float:
    """What one of a watcher's requests takes while nothing changes, in ms."""
    address = f"{CALLS}board/rows/"
    etag = client.get(address).headers["ETag"]
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        assert client.get(address, headers={"if-none-match": etag}).status_code == 304
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def header(rounds: int) -> str:
    """The versions, and the number of rounds."""
    versions = f"Django {django.__version__}, Python {platform.python_version()}"
    return f"{connection.vendor}, {versions}, {os.cpu_count()} cores, {rounds} rounds"


def table(
    client: Client, measured: dict[str, str], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Measure these pages, and print a line for each. The times in ms: of the pages, and of their
    queries.
    """
    times: dict[str, list[float]] = {name: [] for name in measured}
    in_sql: dict[str, list[float]] = {name: [] for name in measured}
    queries: dict[str, int] = {}
    for _ in range(rounds):
        for name, address in measured.items():
            took, queries[name], sql = get(client, address)
            times[name].append(took)
            in_sql[name].append(sql)
    print(f"{'':32}{'ms':>8}{'min':>8}{'max':>8}{'queries':>9}{'ms SQL':>8}")
    for name, took_each in times.items():
        print(
            f"{name:32}{statistics.median(took_each):8.0f}{min(took_each):8.0f}"
            f"{max(took_each):8.0f}{queries[name]:9}{statistics.median(in_sql[name]):8.1f}"
        )
    return times, in_sql


def as_in_production() -> override_settings:
    """Without DEBUG, and without HTTPS, which the test client does not speak."""
    return override_settings(DEBUG=False, SECURE_SSL_REDIRECT=False)


def get(client: Client, address: str) -> tuple[float, int, float]:
    """The time of a page in ms, the number of its queries, and their time in ms."""
    queries: list[float] = []

    def measure(execute: Any, *args: Any) -> Any:
        start = time.perf_counter()
        try:
            return execute(*args)
        finally:
            queries.append(time.perf_counter() - start)

    with connection.execute_wrapper(measure):
        start = time.perf_counter()
        response = client.get(address)
        took = (time.perf_counter() - start) * 1000
    if response.status_code != 200:
        sys.exit(f"{address}: {response.status_code}")
    return took, len(queries), sum(queries) * 1000


if __name__ == "__main__":
    from crm.urls import urlpatterns

    urlpatterns.append(path("stock/", stock.urls))
    clear_url_caches()
    with as_in_production():
        main()
