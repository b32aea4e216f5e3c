"""Measure the speed of the admin's pages with many calls, compared with a plain `ModelAdmin`.

    export DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench
    python example_project/manage.py migrate
    python example_project/manage.py seed_calls 1000000 --live 5
    python -m tests.benchmarks.admin_pages

Runs in one process, without a web server, on the existing data. It writes only a user and a
session. Rounds are interleaved. Compare the ratios between machines, not the times. To measure
another page, add a line to `pages()`.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).parents[2] / "example_project"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
django.setup()

from django.conf import settings as project  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext, override_settings  # noqa: E402
from django.urls import clear_url_caches, path  # noqa: E402

from django_poketalk.models import CallRequest  # noqa: E402

ROUNDS = 7
CALLS = "/admin/poketalk/callrequest/"
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
        "list, page 1,000": f"{CALLS}?p=1000",
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
        "detail": f"{CALLS}{middle.pk}/change/",
        "report, past 30 days": f"{CALLS}reports/",
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
    connection.ensure_connection()
    calls = CallRequest.objects.count()
    versions = f"Django {django.__version__}, Python {platform.python_version()}"
    print(f"{connection.vendor}, {versions}, {os.cpu_count()} cores, {ROUNDS} rounds")
    print(f"{calls:,} calls\n")
    client = Client(headers={"host": project.ALLOWED_HOSTS[0]})
    boss, _made = User.objects.get_or_create(
        username="benchmark", defaults={"is_staff": True, "is_superuser": True}
    )
    client.force_login(boss)
    measured = pages()
    times: dict[str, list[float]] = {name: [] for name in measured}
    in_sql: dict[str, list[float]] = {name: [] for name in measured}
    queries: dict[str, int] = {}
    for _ in range(ROUNDS):
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
    ratio = statistics.median(times["stock: list"]) / statistics.median(times["list"])
    print(f"\nstock / list   {ratio:.1f}   (goal: 6 or more)")


def get(client: Client, address: str) -> tuple[float, int, float]:
    """The time of a page in ms, the number of its queries, and their time in ms."""
    with CaptureQueriesContext(connection) as queries:
        start = time.perf_counter()
        response = client.get(address)
        took = (time.perf_counter() - start) * 1000
    if response.status_code != 200:
        sys.exit(f"{address}: {response.status_code}")
    return took, len(queries), sum(float(each["time"]) for each in queries) * 1000


if __name__ == "__main__":
    from crm.urls import urlpatterns

    urlpatterns.append(path("stock/", stock.urls))
    clear_url_caches()
    with override_settings(DEBUG=False, SECURE_SSL_REDIRECT=False):
        main()
