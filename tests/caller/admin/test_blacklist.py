"""The blacklist in the admin: the list, previews, and the calls that entries would have refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from django_poketalk.blacklist import matching
from django_poketalk.models import BlacklistedNumber, CallRequest

from ..conftest import CALLEE, CALLER
from ..people import logged_in, page, someone, staff

BLACKLIST = "/admin/poketalk/blacklistednumber/"
BULK_ADD = f"{BLACKLIST}add-in-bulk/"
ADD = f"{BLACKLIST}add/"
OTHER = "+442079460777"
INJECTED = "<script>alert('x')</script>"
NewCall = Callable[..., CallRequest]


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def listed(html: str) -> list[str]:
    """The numbers in the list."""
    return re.findall(r'field-(?:whole|masked)_number.*?<bdi dir="ltr">(.*?)</bdi>', html)


# Who may


def test_each_action_requires_its_permission(db: None) -> None:
    BlacklistedNumber.objects.create(number=CALLEE)
    reader = staff("reader", "view_blacklistednumber")
    keeper = staff("keeper", "view_blacklistednumber", "add_blacklistednumber")
    stranger = staff("stranger", "place_call", "view_callrequest")

    assert BULK_ADD not in page(reader.get(BLACKLIST))
    assert BULK_ADD in page(keeper.get(BLACKLIST))
    page(keeper.get(BULK_ADD))
    for client in (reader, stranger):
        page(client.get(BULK_ADD), 403)
        page(client.post(BULK_ADD, {"lines": OTHER, "direction": "to", "_check": "x"}), 403)
        page(client.post(ADD, {"number": OTHER, "direction": "to", "_preview": "x"}), 403)
    page(stranger.get(BLACKLIST), 403)
    change = f"{BLACKLIST}{BlacklistedNumber.objects.get().pk}/change/"
    page(keeper.post(change, {"direction": "to", "_preview": "x"}), 403)
    assert BlacklistedNumber.objects.count() == 1


# The list


def test_the_list_shows_the_effect_of_each_entry(boss: Client) -> None:
    for direction in ("from", "to", "both"):
        BlacklistedNumber.objects.create(number=CALLEE, direction=direction)

    said = text(page(boss.get(BLACKLIST)))

    for words in ("may not call ", "may not be called ", "may neither call nor be called "):
        assert words in said


def test_expired_entries_are_marked_and_filtered(boss: Client) -> None:
    now = timezone.now()
    BlacklistedNumber.objects.create(number=CALLEE)
    BlacklistedNumber.objects.create(number=CALLER, until=now + timedelta(days=1))
    BlacklistedNumber.objects.create(number=OTHER, until=now - timedelta(days=1))

    said = text(page(boss.get(BLACKLIST)))

    assert re.search(r"in force until .*in force .*expired \d", said)
    expired = page(boss.get(BLACKLIST, {"state": "expired"}))
    assert listed(expired) == ["+44 20 7946 0777"]
    assert len(listed(page(boss.get(BLACKLIST, {"state": "in_force"})))) == 2


def test_a_prefix_as_long_as_a_number_is_masked(boss: Client) -> None:
    BlacklistedNumber.objects.create(number="+442079", is_prefix=True)
    BlacklistedNumber.objects.create(number="+44207946012", is_prefix=True)
    reader = staff("reader", "view_blacklistednumber")

    assert listed(page(boss.get(BLACKLIST))) == ["+442079…", "+44207946012…"]
    assert listed(page(reader.get(BLACKLIST))) == ["+44 •••••••12…", "+442079…"]  # newest first


def test_prefixes_and_numbers_are_filtered(boss: Client) -> None:
    BlacklistedNumber.objects.create(number=CALLEE)
    BlacklistedNumber.objects.create(number="+4420", is_prefix=True)

    assert listed(page(boss.get(BLACKLIST, {"is_prefix": "1"}))) == ["+4420…"]
    assert listed(page(boss.get(BLACKLIST, {"is_prefix": "0"}))) == ["+44 20 7946 0123"]
    assert len(listed(page(boss.get(BLACKLIST, {"is_prefix": "odd"})))) == 2


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("+44 (0)20 7946-0123", [CALLEE, "+4420"]),
        ("442079460123", [CALLEE, "+4420"]),
        ("0044 20 7946 0123", [CALLEE, "+4420"]),
        ("020 7946 0123", [CALLEE, "+4420"]),
        ("+44 20 7", [CALLEE, "+4420"]),
        ("+4930", ["+493023125012"]),
        ("asked us", [CALLEE]),
        ("%", []),
        ("+", []),
    ],
)
def test_a_search_accepts_any_format_and_finds_the_prefixes_of_a_number(
    term: str, found: list[str], boss: Client, poketalk: Callable[..., None]
) -> None:
    poketalk(DEFAULT_REGION="GB")
    BlacklistedNumber.objects.create(number=CALLEE, reason="Asked us to")
    BlacklistedNumber.objects.create(number="+4420", is_prefix=True)
    BlacklistedNumber.objects.create(number="+493023125012")

    numbers = [one.replace(" ", "") for one in listed(page(boss.get(BLACKLIST, {"q": term})))]

    assert sorted(one.rstrip("…") for one in numbers) == sorted(found)


# What it would have refused


def preview(client: Client, number: str, **fields: Any) -> str:
    order = {"number": number, "direction": "both", "reason": "", "until_0": "", **fields}
    return page(client.post(ADD, {**order, "_preview": "x"}))


def test_a_preview_shows_the_calls_that_would_have_been_refused_and_saves_nothing(
    boss: Client, new_call: NewCall
) -> None:
    call = new_call()
    new_call(from_number=OTHER, to_number="+442079460888")

    html = preview(boss, "+44 20 7946 0123", direction="to", reason="kept")

    said = text(html)
    assert "Calls that it would have refused in the last 30 days 1 call." in said
    assert f'href="/admin/poketalk/callrequest/{call.pk}/change/"' in html
    assert "+44 20 7946 0000 +44 20 7946 0123 waiting" in said
    assert "not saved yet" in said
    assert 'value="kept"' in html  # the form stays filled in
    assert not BlacklistedNumber.objects.exists()
    assert not LogEntry.objects.exists()


def test_whoever_can_save_can_preview(boss: Client) -> None:
    entry = BlacklistedNumber.objects.create(number=CALLEE)
    change = f"{BLACKLIST}{entry.pk}/change/"
    reader = staff("reader", "view_blacklistednumber")

    assert 'name="_preview"' in page(boss.get(ADD))
    assert 'name="_preview"' in page(boss.get(change))
    assert 'name="_preview"' not in page(reader.get(change))


@pytest.mark.parametrize(
    ("entry", "count"),
    [
        ({"number": CALLEE, "direction": "to"}, 1),
        ({"number": CALLEE, "direction": "from"}, 0),
        ({"number": CALLER, "direction": "from"}, 2),
        ({"number": CALLER, "direction": "both"}, 2),
        ({"number": "+4420794601", "is_prefix": True, "direction": "to"}, 1),
        ({"number": "+44", "is_prefix": True, "direction": "both"}, 2),
        ({"number": "+449", "is_prefix": True, "direction": "both"}, 0),
        ({"number": CALLEE, "is_prefix": True, "direction": "to"}, 1),
    ],
)
def test_the_counted_calls_are_those_that_an_entry_refuses(
    entry: dict[str, Any], count: int, new_call: NewCall
) -> None:
    new_call()
    new_call(to_number=OTHER)
    old = new_call()
    CallRequest.objects.filter(pk=old.pk).update(rings_at=timezone.now() - timedelta(days=31))

    found = matching.find_matches(
        [BlacklistedNumber(**entry)],
        entry["direction"],
        CallRequest.objects.all(),
        timezone.now(),
    )

    assert (found.count, found.more, len(found.calls)) == (count, False, count)


def test_the_newest_calls_are_shown_and_the_count_is_limited(
    new_call: NewCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [new_call() for _ in range(5)]
    entry = BlacklistedNumber(number=CALLEE, direction="to")
    monkeypatch.setattr(matching, "NEWEST", 2)

    def found() -> matching.Matches:
        return matching.find_matches([entry], "to", CallRequest.objects.all(), timezone.now())

    assert (found().count, found().more) == (5, False)
    assert [call.pk for call in found().calls] == [calls[4].pk, calls[3].pk]
    monkeypatch.setattr(matching, "MOST", 3)
    assert (found().count, found().more) == (3, True)


def test_an_entry_s_page_also_shows_the_refused_calls(boss: Client, new_call: NewCall) -> None:
    new_call()
    entry = BlacklistedNumber.objects.create(number=CALLEE, direction="from")
    change = f"{BLACKLIST}{entry.pk}/change/"

    assert "in the last 30 days No call." in text(page(boss.get(change)))
    html = page(
        boss.post(change, {"number": CALLEE, "direction": "both", "until_0": "", "_preview": "x"})
    )

    assert "in the last 30 days 1 call." in text(html)
    entry.refresh_from_db()
    assert entry.direction == "from"


def test_only_calls_that_the_user_may_find_by_number_are_counted(new_call: NewCall) -> None:
    keeper = someone(
        "keeper", "add_blacklistednumber", "view_callrequest", "place_call", is_staff=True
    )
    new_call()
    own = new_call(user=keeper)

    html = preview(logged_in(keeper), CALLEE)

    assert "in the last 30 days 1 call." in text(html)
    assert "Only your own calls are listed" in html
    assert f"/callrequest/{own.pk}/change/" in html


def test_an_invalid_entry_is_not_previewed(boss: Client, new_call: NewCall) -> None:
    new_call()

    html = preview(boss, INJECTED)

    assert "errorlist" in html
    assert "would have refused in" not in html
    assert "<script>alert" not in html
    page(boss.post(f"{BLACKLIST}999/change/", {"_preview": "x"}), 404)


def test_pages_make_few_queries(
    boss: Client, new_call: NewCall, django_assert_num_queries: Callable[..., Any]
) -> None:
    for _ in range(12):
        new_call()
    entry = BlacklistedNumber.objects.create(number=CALLEE)
    change = f"{BLACKLIST}{entry.pk}/change/"
    boss.get(change)
    many = "\n".join(f"+44207946{last:04}" for last in range(400))

    with django_assert_num_queries(6):  # session, user; entry; each leg's calls, the newest
        boss.get(change)
    with django_assert_num_queries(6):  # session, user; what is stored; the same
        page(boss.post(BULK_ADD, {"lines": many, "direction": "both", "_check": "x"}))


def test_an_ignored_extension_is_named(boss: Client) -> None:
    form = {"number": "+44 20 7946 0777 ext. 12", "direction": "both", "until_0": "", "until_1": ""}

    html = page(boss.post(f"{BLACKLIST}add/", form, follow=True))

    assert "Extension 12 was ignored: the entry blocks the whole number." in html
    assert BlacklistedNumber.objects.get().number == "+442079460777"
    html = page(boss.post(f"{BLACKLIST}add/", {**form, "number": "+442079460778"}, follow=True))
    assert "was ignored" not in html
