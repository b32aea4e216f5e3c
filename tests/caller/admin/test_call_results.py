"""The results of calls in the admin: in the list of calls, in its filters, and on a call's page."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.admin import filters
from django_poketalk.calls.wrapping_up import wrap_up
from django_poketalk.models import CallBack, CallRequest, WrapUp

from ..people import connected, contains_number, page, staff, text

CALLS = "/admin/poketalk/callrequest/"
TOMORROW = (timezone.now() + timedelta(days=1)).replace(second=0, microsecond=0)


@pytest.fixture(autouse=True)
def _dispositions(poketalk: Callable[..., None]) -> None:
    poketalk(DISPOSITIONS={"sold": "Sold <b>", "refused": "Refused"})


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


def ended(call: CallRequest) -> CallRequest:
    return connected(call, status=8, ended_at=timezone.now())


def rows(client: Client, **requested: Any) -> list[int]:
    """The keys of the calls that the list shows, in order."""
    html = page(client.get(CALLS, requested))
    return [int(key) for key in re.findall(r'data-poketalk-call="(\d+)"', html)]


# The list


def test_the_list_shows_each_call_s_result_and_filters_by_it(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    sold, old, nothing = (ended(new_call()) for _ in range(3))
    WrapUp.objects.create(call=sold, disposition="sold")
    WrapUp.objects.create(call=old, disposition="gone")  # the setting has it no longer
    WrapUp.objects.create(call=nothing, note="Only a note.")

    html = page(boss.get(CALLS))

    results = re.findall(r'data-label="Result"[^>]*><bdi>(.*?)</bdi>', html)
    assert results == ["gone", "Sold &lt;b&gt;"]
    assert "?result=sold" in html
    assert rows(boss, result="sold") == [sold.pk]
    assert rows(boss, result="gone") == [old.pk]
    assert "No result (newest 5,000 calls)" in html
    newest = ended(new_call())
    assert rows(boss, result="NONE") == [newest.pk, nothing.pk]
    found = page(boss.get(CALLS, {"result": "sold", "o": "-10"}))  # sorted by cost
    assert "Sold &lt;b&gt;" in found.partition('class="poketalk-active')[2].partition("</ul>")[0]


def test_calls_without_a_result_are_sought_among_the_newest(
    boss: Client, new_call: Callable[..., CallRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [ended(new_call()) for _ in range(3)]
    monkeypatch.setattr(filters, "NEWEST", 2)

    assert rows(boss, result="NONE") == [calls[2].pk, calls[1].pk]


def test_a_project_without_results_has_no_column_of_them(
    boss: Client, call: CallRequest, poketalk: Callable[..., None]
) -> None:
    WrapUp.objects.create(call=call, note="Only a note.")
    poketalk(DISPOSITIONS=None)

    html = page(boss.get(CALLS))

    assert "column-result" not in html
    assert "?result=" not in html


@pytest.mark.parametrize("count", [1, 30])
def test_results_are_one_query_whatever_the_number_of_calls(
    count: int,
    boss: Client,
    new_call: Callable[..., CallRequest],
    django_assert_num_queries: Any,
) -> None:
    for _ in range(count):
        WrapUp.objects.create(call=ended(new_call()), disposition="sold")
    boss.get(CALLS)

    # session, user; calls, their results; the first call and the last; the choices of the filters
    # by team and by model
    with django_assert_num_queries(8):
        html = page(boss.get(CALLS))

    assert html.count("<bdi>Sold &lt;b&gt;</bdi>") == count


# A call's page


def test_a_call_s_page_shows_and_saves_its_wrap_up(
    boss: Client, user: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = ended(new_call(user=user, metadata={"deal": 7, "phone": "020 7946 0999"}))
    assert f'action="{CALLS}{call.pk}/wrap-up/#wrap-up"' in page(
        boss.get(f"{CALLS}{call.pk}/change/")
    )

    sent = {
        "disposition": "sold",
        "note": "Wants 3.",
        "follow_up_at": f"{timezone.localtime(TOMORROW):%Y-%m-%dT%H:%M}",
    }
    html = page(boss.post(f"{CALLS}{call.pk}/wrap-up/", sent, follow=True))

    row = WrapUp.objects.get()
    assert (row.call_id, row.disposition, row.note) == (call.pk, "sold", "Wants 3.")
    assert str(row.user) == "boss"
    back = CallBack.objects.get()
    assert (back.user, back.due_at) == (user, TOMORROW)  # the user of the call is reminded
    assert "Saved: Sold &lt;b&gt;." in html
    assert re.search(r'value="sold"[^>]*checked', html)
    assert "Wants 3." in html
    assert "Saved the wrap-up." in html  # the history
    assert "<bdi>boss</bdi>" in html
    assert "020 7946 0999" in html  # the metadata


def test_errors_are_displayed_on_the_call_s_page(boss: Client, call: CallRequest) -> None:
    ended(call)

    sent = {"disposition": "unknown", "note": "Keep me", "follow_up_at": "2020-01-01T10:00"}
    html = page(boss.post(f"{CALLS}{call.pk}/wrap-up/", sent))

    assert html.count("errorlist") == 2
    assert "Keep me" in html
    assert not WrapUp.objects.exists()
    assert not CallBack.objects.exists()


def test_watchers_read_the_wrap_up_with_masked_numbers_and_do_not_write(
    user: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = ended(new_call(user=user, metadata={"other": "020 7946 0999"}))
    WrapUp.objects.create(call=call, disposition="refused", note="Ask +44 20 7946 0123.")
    watcher = staff("watcher", "view_callrequest")

    html = page(watcher.get(f"{CALLS}{call.pk}/change/"))

    assert "Refused" in html
    assert ">Ask " in html
    assert not contains_number(html)
    assert "/wrap-up/" not in html
    assert watcher.post(f"{CALLS}{call.pk}/wrap-up/", {"note": "x"}).status_code == 403
    assert watcher.get(f"{CALLS}{call.pk}/wrap-up/").status_code == 405
    lead = staff("lead", "view_callrequest", "change_wrapup")
    lead.post(f"{CALLS}{call.pk}/wrap-up/", {"disposition": "sold"})
    assert WrapUp.objects.get().disposition == "sold"


# CSV


def exported(client: Client, *calls: CallRequest) -> list[dict[str, str]]:
    keys = [call.pk for call in calls]
    response: Any = client.post(CALLS, {"action": "export_csv", "_selected_action": keys})
    text = b"".join(response.streaming_content).decode().removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_csv_file_has_what_was_written_about_each_call(
    boss: Client, user: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = ended(new_call(user=user, metadata={"deal": 7, "who": "020 7946 0999"}))
    wrap_up(call, user, disposition="sold", note="Two\nlines", follow_up_at=TOMORROW)
    plain = ended(new_call())
    columns = ("Result", "Note", "Call back at", "Metadata")

    without, line = exported(boss, call, plain)
    assert [line[name] for name in columns[:3]] == [
        "Sold <b>",
        "Two\nlines",
        f"{timezone.localtime(TOMORROW):%Y-%m-%d %H:%M:%S}",
    ]
    assert json.loads(line["Metadata"]) == {"deal": 7, "who": "020 7946 0999"}
    assert [without[name] for name in columns] == ["", "", "", ""]

    masked = exported(staff("watcher", "view_callrequest"), call)[0]
    assert masked["Result"] == "Sold <b>"
    assert json.loads(masked["Metadata"])["deal"] == 7
    assert "0999" not in masked["Metadata"]


# Reports


def test_the_report_by_result_links_to_the_calls(
    boss: Client, new_call: Callable[..., CallRequest], poketalk: Callable[..., None]
) -> None:
    for key in ("sold", "sold", "gone", ""):
        WrapUp.objects.create(call=ended(new_call()), disposition=key)
    new_call()

    html = page(boss.get(f"{CALLS}reports/?by=disposition"))

    table = text(html.partition("<tbody>")[2].partition("</table>")[0])
    assert re.findall(r"(Sold <b>|gone|No result) (\d)", table) == [
        ("Sold <b>", "2"),
        ("gone", "1"),
        ("No result", "2"),
    ]
    assert html.count("&amp;result=") == 2
    poketalk(DISPOSITIONS=None)
    assert "disposition" not in page(boss.get(f"{CALLS}reports/"))
