"""Adding blacklist entries in bulk: parsing, the preview, and saving."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from django_poketalk.admin.bulk_add import BulkAddForm
from django_poketalk.blacklist import preview
from django_poketalk.blacklist.parsing import parse
from django_poketalk.calls import requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import BlacklistedNumber, CallRequest

from ..conftest import CALLEE, CALLER
from ..people import hidden, page, staff

BLACKLIST = "/admin/poketalk/blacklistednumber/"
BULK_ADD = f"{BLACKLIST}add-in-bulk/"
OTHER = "+442079460777"
INJECTED = "<script>alert('x')</script>"


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def lines(text_: str, **fields: Any) -> dict[str, Any]:
    return {"lines": text_, "direction": "both", "reason": "", "until_0": "", **fields}


def check(client: Client, text_: str, **fields: Any) -> str:
    return page(client.post(BULK_ADD, {**lines(text_, **fields), "_check": "x"}))


def paste(client: Client, text_: str, **fields: Any) -> Any:
    """Check the lines, then add them."""
    seal = hidden(check(client, text_, **fields), "seal")
    return client.post(BULK_ADD, {**lines(text_, **fields), "seal": seal, "_add": "x"})


def stored() -> list[tuple[str, bool, str]]:
    return list(BlacklistedNumber.objects.values_list("number", "is_prefix", "reason"))


# Many at once: what lines mean


def test_lines_can_have_many_formats() -> None:
    read = parse(
        "+44 (20) 7946-0123\n"
        "\n"
        "# from the old system\r\n"
        "0044 20 7946 0001, asked not to be called\n"
        "020 7946 0002;fraud; twice\n"
        "+44 20 7946 0003\tmoved   away\n"
        '"+44 20 7946 0004","in quotes"\n'
        "+44 (20) 79*, a building\n"
        "44 113 *\n",
        "GB",
    )

    assert read.problems == read.repeated == ()
    assert [(line.at, line.number, line.is_prefix, line.reason) for line in read.lines] == [
        (1, CALLEE, False, ""),
        (4, "+442079460001", False, "asked not to be called"),
        (5, "+442079460002", False, "fraud; twice"),
        (6, "+442079460003", False, "moved away"),
        (7, "+442079460004", False, "in quotes"),
        (8, "+442079", True, "a building"),
        (9, "+44113", True, ""),
    ]


@pytest.mark.parametrize(
    ("line", "extension", "reason"),
    [
        (f"{CALLEE},1234", "1234", ""),
        (f"{CALLEE};ext=12", "12", ""),
        (f"{CALLEE}, ext. 12", "12", ""),
        (f"{CALLEE} ext. 12, called 3 times", "12", "called 3 times"),
        (f"{CALLEE}, since 2026-11-29", "", "since 2026-11-29"),
        (f"{CALLEE}; also {CALLER}", "", f"also {CALLER}"),
    ],
)
def test_digits_without_letters_are_no_reason(line: str, extension: str, reason: str) -> None:
    [read] = parse(line, None).lines

    assert (read.number, read.extension, read.reason) == (CALLEE, extension, reason)


def test_comments_may_begin_with_a_mark_that_is_invisible() -> None:
    assert parse("\ufeff# from a spreadsheet\n\u200b\n\u2028", None) == parse("", None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nobody", "is not a phone number"),
        ("020 7946 0123", "country code"),
        ("*", "the country code first"),
        ("020*", "the country code first"),
        ("+44*20", "hidden or missing"),
        (", only a reason", "Enter a phone number"),
        (f"+{'4' * 60}", "more digits"),
        (f"{CALLEE},{'x' * 201}", "201 characters"),
        ("=1+1", "is not a phone number"),
        (f"{CALLEE}, {CALLER}", "more than one phone number"),
        (f"{CALLEE},{CALLER}", "more than one phone number"),
        (f"{CALLEE};{CALLER[1:]}", "more than one phone number"),
        (f"{CALLEE}\t{CALLER}", "more than one phone number"),
        (f'"{CALLEE}","{CALLER}"', "more than one phone number"),
        (f"{CALLEE}, 2026-11-29", "more than one phone number"),
        ("+4420*, +4430*", "more than one phone number"),
        ("+49 3023125\t1234", "more than one phone number"),
        (f"{CALLEE},12", "is a decimal number"),
        ("493023125012,0", "is a decimal number"),
        ("4,93023125012E11", "is a decimal number"),
    ],
)
def test_an_invalid_line_is_reported_with_its_line_number(line: str, says: str) -> None:
    read = parse(f"{OTHER}\n{line}\n{CALLER}", None)

    assert [one.number for one in read.lines] == [OTHER, CALLER]
    [problem] = read.problems
    assert problem.at == 2
    assert says in problem.sentence


def test_more_lines_than_can_be_added_at_once_are_refused() -> None:
    assert len(parse("\n" * 5000, None).problems) == 0

    [problem] = parse("\n" * 5001, None).problems

    assert "5001 lines" in problem.sentence


# Many at once: looked through, then added


def test_nothing_is_saved_before_the_preview(boss: Client) -> None:
    html = check(boss, f"{CALLEE}\n+4420*")

    assert "2 new entries" in text(html)
    assert 'value="Add 2 entries"' in html
    assert stored() == []
    # Nor what was altered since.
    seal = hidden(html, "seal")
    for forged in ({"seal": ""}, {"seal": seal, "direction": "to"}):
        html = page(boss.post(BULK_ADD, {**lines(f"{CALLEE}\n+4420*"), **forged, "_add": "x"}))
        assert "input has changed since the preview" in html
    html = page(boss.post(BULK_ADD, {**lines(OTHER), "seal": seal, "_add": "x"}))
    assert "input has changed since the preview" in html
    assert stored() == []


def test_only_the_user_who_saw_the_preview_can_add_it(boss: Client) -> None:
    seal = hidden(check(boss, CALLEE), "seal")
    other = staff("other", "add_blacklistednumber")

    page(other.post(BULK_ADD, {**lines(CALLEE), "seal": seal, "_add": "x"}))

    assert stored() == []


def test_each_line_becomes_an_entry_with_a_history(boss: Client) -> None:
    text_ = f"{CALLEE}, fraud\r\n+44113*\r\n"

    response = paste(boss, text_, direction="to", reason="asked", until_0="", until_1="")

    assert response["Location"] == BLACKLIST
    assert "2 entries were added to the blacklist." in page(boss.get(BLACKLIST))
    assert stored() == [("+44113", True, "asked"), (CALLEE, False, "fraud")]
    entries = BlacklistedNumber.objects.all()
    assert {(one.direction, one.created_by.username) for one in entries} == {("to", "boss")}
    assert set(LogEntry.objects.values_list("object_id", "object_repr", "action_flag")) == {
        (str(one.pk), str(one), 1) for one in entries
    }
    with pytest.raises(CallRefused, match="fraud"):
        requesting.request_call(from_number=CALLER, to_number=CALLEE)


def test_one_invalid_line_keeps_the_input_and_saves_nothing(boss: Client) -> None:
    text_ = f"{CALLEE}, fraud\n{INJECTED}\n+4420*"

    html = check(boss, text_)

    assert "Line 2: &lt;script&gt;alert" in text(html)
    assert "<script>alert" not in html
    assert 'name="seal"' not in html
    kept = re.search(r"<textarea[^>]*>\s*(.*?)</textarea>", html, re.DOTALL)
    assert kept
    assert kept[1].replace("\r\n", "\n").startswith(f"{CALLEE}, fraud\n&lt;script&gt;")
    form = BulkAddForm(lines(text_))
    assert form.is_valid()
    seal = form.seal(get_user_model().objects.get())
    page(boss.post(BULK_ADD, {**lines(text_), "seal": seal, "_add": "x"}))
    assert stored() == []


def test_duplicates_are_reported(boss: Client) -> None:
    BlacklistedNumber.objects.create(number=OTHER)
    BlacklistedNumber.objects.create(number=CALLER, direction="to")

    html = check(boss, f"{CALLEE}\n44 20 7946 0123\n{OTHER}\n{CALLER}")

    said = text(html)
    assert f"added once: {CALLEE} (line 2, same as line 1)" in said
    assert f"not changed: {OTHER} (line 3)" in said
    assert "2 new entries" in said  # that of the caller holds in one direction only
    paste(boss, f"{CALLEE}\n44 20 7946 0123\n{OTHER}\n{CALLER}")
    assert BlacklistedNumber.objects.count() == 4


def test_an_entry_for_both_directions_covers_each(boss: Client) -> None:
    BlacklistedNumber.objects.create(number=OTHER)

    html = check(boss, OTHER, direction="to")

    assert "0 new entries" in text(html)
    assert 'name="seal"' not in html


def test_an_expired_entry_is_renewed(boss: Client) -> None:
    past = timezone.now() - timedelta(days=1)
    BlacklistedNumber.objects.create(number=OTHER, reason="old", until=past)

    assert "1 expired entry becomes active again" in text(check(boss, OTHER))
    paste(boss, OTHER, reason="new")

    entry = BlacklistedNumber.objects.get()
    assert (entry.reason, entry.until, entry.created_by.username) == ("new", None, "boss")
    assert LogEntry.objects.get().is_change()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"lines": " \n "}, "required"),
        ({"lines": f"{CALLEE}\0"}, "Null characters"),
        ({"direction": "sideways"}, "valid choice"),
        ({"reason": "x" * 201}, "at most 200"),
        ({"until_0": "2020-01-01", "until_1": "00:00"}, "time in the future"),
        ({"until_0": "tomorrow"}, "Enter a"),
    ],
)
def test_an_invalid_value_for_all_lines_is_an_error_of_its_field(
    fields: dict[str, str], says: str, boss: Client
) -> None:
    html = page(boss.post(BULK_ADD, {**lines(CALLEE), **fields, "_check": "x"}))

    assert "errorlist" in html
    assert says in html
    assert stored() == []


def test_an_entry_that_another_user_adds_at_the_same_moment_is_saved_once(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = hidden(check(boss, f"{CALLEE}\n{OTHER}"), "seal")
    BlacklistedNumber.objects.create(number=OTHER)
    monkeypatch.setattr(preview, "_stored", lambda *_: {})  # it was not there yet

    html = page(boss.post(BULK_ADD, {**lines(f"{CALLEE}\n{OTHER}"), "seal": seal, "_add": "x"}))

    assert "Another user has just added one of these entries." in html
    assert [number for number, _, _ in stored()] == [OTHER]
    assert not LogEntry.objects.exists()


def test_thousands_of_entries_are_added_with_few_queries(
    boss: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    many = "\n".join(f"+44207946{last:04}" for last in range(2000)) + "\n+44113*"
    seal = hidden(check(boss, many), "seal")

    # Batches of 500 on PostgreSQL, smaller ones on SQLite
    with django_assert_max_num_queries(80):
        boss.post(BULK_ADD, {**lines(many), "seal": seal, "_add": "x"})

    assert BlacklistedNumber.objects.count() == LogEntry.objects.count() == 2001


def test_the_preview_shows_the_calls_that_all_lines_would_have_refused(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    new_call()
    new_call(to_number=OTHER)
    new_call(to_number="+493023125012")

    html = check(boss, f"{CALLEE}\n+49*", direction="to")

    assert "in the last 30 days 2 calls." in text(html)


def test_ignored_extensions_are_named_in_the_preview(boss: Client) -> None:
    html = text(check(boss, f"{OTHER}\n{OTHER} x7\n{CALLEE} ext. 12"))

    assert "Extensions are ignored, so the whole number is blocked:" in html
    assert f"{CALLEE} (line 3, extension 12)" in html
    assert f"{OTHER} (line 2, extension 7)" in html
    assert "line 1, extension" not in html
