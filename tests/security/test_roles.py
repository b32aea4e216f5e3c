"""The roles of the service in docs/howto/permissions.md: whoever has one can follow every link on
the pages, and reaches no other page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from django_poketalk.server.models import PriceList
from tests.house import tree
from tests.security import every_page
from tests.server.staff import staff

pytestmark = pytest.mark.django_db
BLOCK = re.compile(r"```python\n(GROUPS = .*?)```", re.DOTALL)
LINK = re.compile(r'<a\b[^>]*\bhref="([^"#]*)"')
LEAVES = ("/admin/logout/", "/admin/password_change/", "/admin/jsi18n/")
QUERIES = 2  # visited of each page


def roles() -> dict[str, list[str]]:
    """The permissions of each group."""
    [block] = BLOCK.findall((tree.ROOT / "docs" / "howto" / "permissions.md").read_text())
    names: dict[str, Any] = {}
    exec(block, names)
    groups: dict[str, list[str]] = names["GROUPS"]
    return groups


BOOKKEEPERS = "Service bookkeepers"


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_poketalk.calls.task_publisher.wake", lambda pk, delay=0: None)
    every_page.rows()


def visited(client: Client) -> Iterator[tuple[str, Any]]:
    """Every page that can be reached by links from the index of the admin, with its response."""
    waiting, seen = ["/admin/"], {"/admin/"}
    while waiting:
        address = waiting.pop()
        response = client.get(address)
        yield address, response
        if response.status_code != 200 or response.streaming:
            continue
        for link in LINK.findall(response.content.decode()):
            found = urljoin(address, html.unescape(link))
            path = urlsplit(found).path
            others = sum(urlsplit(each).path == path for each in seen)
            may = path.startswith("/admin/") and not path.startswith(LEAVES)
            if may and others < QUERIES and found not in seen:
                seen.add(found)
                waiting.append(found)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("role", roles())
def test_a_role_can_follow_every_link(role: str) -> None:
    statuses = {
        address: response.status_code for address, response in visited(staff(*roles()[role]))
    }

    assert len(statuses) > 10
    assert {a: status for a, status in statuses.items() if status not in (200, 302)} == {}


# What bookkeepers may open, by names of pages
MAY = {
    "account": {"changelist", "change", "history", "statement", "top_up", "call_records"},
    "ledgerentry": {"changelist", "add", "change", "history", "reverse"},
    "call": {"changelist", "change", "history", "board", "board_rows"},
    "leg": {"changelist", "change", "history"},
    "pricelist": {"changelist", "change", "history"},
    "rate": {"changelist", "add", "change", "delete", "history", "import", "export", "undo"},
}
# What they may write: entries with the balance, rates with their imports, and the admin's history
WRITES = ("LedgerEntry", "Account", "Rate", "DeckImport")
OF_PRICE_LISTS = ("rate_export", "rate_undo")  # whose addresses have the key of a price list
# Answers only the page before it, with the file
AFTER_PREVIEW = "rate_process_import"


@pytest.mark.usefixtures("rows")
def test_a_bookkeeper_reaches_money_records_and_decks_and_nothing_else() -> None:
    client = staff(*roles()[BOOKKEEPERS])
    before = {
        model: list(model._default_manager.order_by("pk").values())
        for model in apps.get_app_config("poketalk_server").get_models()
        if model.__name__ not in WRITES
    }
    reached = set()
    for route, name in every_page.routes():
        if not name.startswith("admin:poketalk_server_"):
            continue
        page = name.removeprefix("admin:poketalk_server_")
        about = "admin:poketalk_server_pricelist_change" if page in OF_PRICE_LISTS else name
        # A rate must stay for the pages that follow the one that deletes it.
        methods = [client.get] if page.startswith("rate_") else [client.get, client.post]
        for address in every_page.addresses(route, about):
            if any(method(address).status_code in (200, 302) for method in methods):
                reached.add(page)

    expected = {f"{model}_{page}" for model, pages in MAY.items() for page in pages}
    assert reached - {AFTER_PREVIEW} == expected
    after = {model: list(model._default_manager.order_by("pk").values()) for model in before}
    assert after == before


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("page", ["change", "delete", "add"])
def test_a_bookkeeper_cannot_change_price_lists(page: str) -> None:
    client = staff(*roles()[BOOKKEEPERS])
    prices = PriceList.objects.get()
    keys = [] if page == "add" else [prices.pk]
    address = reverse(f"admin:poketalk_server_pricelist_{page}", args=keys)

    answer = client.post(address, {"name": "New", "currency": "USD", "post": "yes"})

    assert answer.status_code == 403
    assert list(PriceList.objects.values_list("name", "currency")) == [(prices.name, "EUR")]
