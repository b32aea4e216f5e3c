"""Times have one format in the admin of both halves, on pages with the time zone."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.models import BlacklistedNumber, Phone
from django_poketalk.server.models import Call
from tests.security import every_page
from tests.security.test_masked_numbers import person

pytestmark = pytest.mark.django_db
OURS = re.compile(r"/admin/poketalk(_server)?/.*(?<!history)/$")
# As Django formats them in English: Nov. 30, 2026, 12:15 p.m.
DJANGOS = re.compile(
    r"\b[A-Z][a-z]{2,8}\.? \d{1,2}, \d{4}, (?:\d{1,2}(?::\d\d)? [ap]\.m\.|noon|mid)"
)
EMPTY = re.compile(r">\s*None\s*<")  # as Django shows an empty column of a read-only page
WITH_ZONE = re.compile(r">\d\d/\d\d/\d{4} \d\d:\d\d:\d\d UTC</time>")


@pytest.fixture
def reader() -> Client:
    """Somebody who may view all and change nothing, so that no time is in a form."""
    every_page.rows()
    return person(
        *(
            f"{action}_{model}"
            for action in ("add", "change")
            for model in ("callback", "blacklistednumber", "account", "apikey", "presentednumber")
        )
    )


def test_no_page_has_a_time_in_another_format_or_none_for_nothing(reader: Client) -> None:
    pages = 0
    for route, name in every_page.routes():
        if not OURS.match(route):
            continue
        for address in every_page.addresses(route, name):
            response = reader.get(address)
            if response.status_code == 200 and not response.streaming:
                html = response.content.decode()
                assert DJANGOS.findall(html) == [], address
                assert EMPTY.findall(html) == [], address
                pages += 1
    assert pages > 80


@pytest.mark.parametrize(
    "page",
    ["poketalk/callback", "poketalk/blacklistednumber", "poketalk/phone", "poketalk_server/apikey"]
    + [f"poketalk_server/{name}" for name in ("call", "leg", "ledgerentry", "account", "testcall")],
)
def test_pages_name_the_time_zone(reader: Client, page: str) -> None:
    Phone.objects.update(verified_at=timezone.now())
    pk = re.search(rf"/admin/{page}/(\d+)/", reader.get(f"/admin/{page}/").content.decode())
    assert pk

    html = reader.get(f"/admin/{page}/{pk[1]}/change/").content.decode()

    assert WITH_ZONE.search(html)


def test_a_time_that_can_be_changed_stays_an_input(reader: Client) -> None:
    entry = BlacklistedNumber.objects.latest("pk")

    html = person().get(f"/admin/poketalk/blacklistednumber/{entry.pk}/change/").content.decode()

    assert 'name="until_0"' in html
    assert WITH_ZONE.search(html)  # when it was added


def test_times_in_lists_and_inlines_are_sorted_as_before(reader: Client) -> None:
    html = reader.get("/admin/poketalk_server/ledgerentry/").content.decode()
    assert re.search(r'class="sortable column-created_at"', html)
    call = Call.objects.get()
    Call.objects.update(ended_at=timezone.now())
    html = reader.get(f"/admin/poketalk_server/call/{call.pk}/change/").content.decode()
    assert 'class="field-sent_at"' in html
