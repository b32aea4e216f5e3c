"""The page of a call in the admin: its content, its queries, and permissions."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from django_poketalk.admin import call_detail_context
from django_poketalk.models import BlacklistedNumber, CallEvent, CallRequest, Placement

from ..conftest import CALLEE, CALLER
from ..people import connected, contact, contains_number, page, someone, staff, text

CALLS = "/admin/poketalk/callrequest/"
INJECTED = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


@pytest.fixture
def watcher(db: None) -> Client:
    return staff("watcher", "view_callrequest", "view_callevent")


@pytest.fixture(autouse=True)
def _real_backend(poketalk: Callable[..., None]) -> None:
    """Use the real backend, which describes its requests. These tests send nothing."""
    poketalk(BACKEND="django_poketalk.backends.click2call.Click2CallBackend")


def address(call: CallRequest, what: str = "change") -> str:
    return f"{CALLS}{call.pk}/{what}/"


def add_events(call: CallRequest, count: int, **facts: Any) -> None:
    start = timezone.now() - timedelta(hours=1)
    CallEvent.objects.bulk_create(
        CallEvent(
            call=call,
            received_at=start + timedelta(seconds=60 * tick),
            **{"status": 7, "duration": 60 * tick, "cost": tick, "answer": 200, **facts},
        )
        for tick in range(count)
    )


def listed(html: str) -> list[str]:
    """Our answers in the table of events, newest first."""
    return re.findall(r'class="poketalk-answer">(\d+)<', html)


def drawn(html: str) -> list[str]:
    """The number of marks on the timeline by kind, without those of the legend."""
    picture = html.partition('<svg class="poketalk-timeline"')[2].partition("</svg>")[0]
    return re.findall(r'class="pt-mark" data-kind="(\w+)"', picture)


def test_the_page_has_one_set_of_tools(boss: Client, call: CallRequest) -> None:
    """Django renders its block of tools inside or, from 6.1 on, outside of the content."""
    assert page(boss.get(address(call))).count('class="object-tools"') == 1


# The timeline, the events


def test_each_event_is_in_the_timeline_and_in_the_table(boss: Client, call: CallRequest) -> None:
    connected(call)
    add_events(call, 2)
    add_events(call, 1, answer=412, reason="longer than 300 s")

    html = page(boss.get(address(call)))

    assert listed(html) == ["412", "200", "200"]
    assert drawn(html) == ["change", "tick", "repeated"] or drawn(html) == [
        "change",
        "tick",
        "late",
    ]
    assert html.count("longer than 300 s") == 2  # on its mark and in its row
    assert re.search(r'<svg [^>]*role="img" aria-labelledby="[^"]+"', html)
    assert "<desc" in html


def test_the_stages_of_the_timeline_are_also_in_a_table(boss: Client, call: CallRequest) -> None:
    start = timezone.now() - timedelta(minutes=5)
    connected(
        call,
        a_initiated_at=start,
        a_answered_at=start + timedelta(seconds=8),
        b_initiated_at=start + timedelta(seconds=9),
        b_answered_at=start + timedelta(seconds=20),
        ended_at=start + timedelta(seconds=200),
        status=8,
    )

    html = page(boss.get(address(call)))

    table = text(html.partition('data-part="stages"')[2].partition("</tbody>")[0])
    for stage in ("ringing 8 s", "answered 12 s", "ringing 11 s", "talking 3 min"):
        assert stage in table
    assert "2 ticks missing" in table


def test_a_refused_call_says_that_no_phone_rang(boss: Client, call: CallRequest) -> None:
    connected(
        call,
        placement=Placement.REJECTED,
        status=None,
        response_code="60",
        a_initiated_at=None,
        a_answered_at=None,
        b_initiated_at=None,
        b_answered_at=None,
    )

    html = page(boss.get(address(call)))

    assert html.count("did not ring") >= 4  # both legs, in the picture and in the table
    assert "blacklist" in html
    assert "hang-up" not in html.partition("poketalk-numbers")[0]


def test_the_newest_of_many_events_are_shown_with_a_link_to_the_others(
    boss: Client, call: CallRequest
) -> None:
    connected(call)
    add_events(call, 2 * call_detail_context.MOST_EVENTS + 1)

    newest = page(boss.get(address(call)))
    [before] = re.findall(r'href="(\?before=\d+)"', newest)
    older = page(boss.get(address(call) + before))
    [before] = re.findall(r'href="(\?before=\d+)"', older)
    oldest = page(boss.get(address(call) + before))

    assert [len(listed(html)) for html in (newest, older, oldest)] == [250, 250, 1]
    assert [len(drawn(html)) for html in (newest, older, oldest)] == [250, 250, 250]
    assert "Only the newest 250 events are shown" in newest
    assert 'href="?before=' not in oldest
    assert set(drawn(newest)) == {"tick"}  # also the first of them
    assert "ticks missing" not in newest.partition("</svg>")[0]


@pytest.mark.parametrize("before", ["", "x", "-1", "9" * 40, "٣"])
def test_an_invalid_position_in_the_events_is_ignored(
    before: str, boss: Client, call: CallRequest
) -> None:
    add_events(call, 3)

    assert len(listed(page(boss.get(address(call), {"before": before})))) == 3


def test_events_require_the_permission_to_see_them(call: CallRequest) -> None:
    connected(call, a_answered_at=timezone.now() - timedelta(minutes=9))
    add_events(call, 3, reason="for insiders")
    clerk = staff("clerk", "view_callrequest")

    for what in ("change", "live"):
        html = page(clerk.get(address(call, what)))
        assert "for insiders" not in html
        assert drawn(html) == listed(html) == []
        assert "s missing" not in html  # nor that there should have been some


def test_coordinates_have_a_decimal_point_in_every_language(
    boss: Client, call: CallRequest, settings: Any
) -> None:
    connected(call)
    add_events(call, 3)
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True

    html = page(boss.get(address(call)))

    picture = html.partition("<svg class")[2].partition("</svg>")[0]
    for value in re.findall(r' (?:x|y|x1|x2|y1|y2|width|height|viewBox)="([^"]*)"', picture):
        assert re.fullmatch(r"[0-9. ]+", value)


# Queries


@pytest.mark.parametrize("count", [1, 40])
def test_the_number_of_queries_does_not_depend_on_the_number_of_events(
    count: int,
    boss: Client,
    user: Any,
    new_call: Callable[..., CallRequest],
    django_assert_num_queries: Any,
) -> None:
    call = new_call(user=user, subject=contact())
    add_events(call, count)
    boss.get(address(call))

    # Session, user; call and its people, contact, events; blacklist of both numbers, history;
    # wrap-up, call back, metadata.
    with django_assert_num_queries(11):
        html = page(boss.get(address(call)))

    assert len(listed(html)) == count


def test_an_update_of_an_open_call_makes_few_queries_and_304_makes_fewer(
    boss: Client,
    user: Any,
    new_call: Callable[..., CallRequest],
    django_assert_num_queries: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("django_poketalk.admin.call_detail.REDRAW_AFTER", 10**9)
    call = connected(new_call(user=user, subject=contact()))
    boss.get(address(call))

    with django_assert_num_queries(5):  # session, user; call, contact, events
        response = boss.get(address(call, "live"))
    with django_assert_num_queries(3):  # session, user; call
        again = boss.get(address(call, "live"), headers={"If-None-Match": response["ETag"]})

    page(response)
    assert again.status_code == 304


@pytest.mark.parametrize(
    "change",
    [
        {"status": 8, "ended_at": timezone.now()},
        {"last_event_at": timezone.now()},
        {"hangup_requested_at": timezone.now()},
        {"cost": Decimal(7)},
    ],
)
def test_changes_are_sent(
    change: dict[str, Any], boss: Client, call: CallRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_poketalk.admin.call_detail.REDRAW_AFTER", 10**9)
    connected(call)
    etag = boss.get(address(call, "live"))["ETag"]

    CallRequest.objects.update(**change)

    page(boss.get(address(call, "live"), headers={"If-None-Match": etag}))


def test_the_etag_depends_on_the_user(boss: Client, watcher: Client, call: CallRequest) -> None:
    etag = boss.get(address(call, "live"))["ETag"]

    html = page(watcher.get(address(call, "live"), headers={"If-None-Match": etag}))

    assert not contains_number(html)


# Who sees what


@pytest.mark.parametrize("what", ["change", "live"])
def test_numbers_are_masked_everywhere_on_the_page(
    what: str, watcher: Client, call: CallRequest
) -> None:
    said = f"blacklisted: {CALLEE}, 020 7946 0123 and 44(20)7946-0123"
    connected(call, response_detail=said, veto_reason=said)
    add_events(call, 2, answer=412, reason=said)
    LogEntry.objects.create(
        user=someone("clerk"),
        content_type_id=_content_type(call),
        object_id=str(call.pk),
        action_flag=2,
        change_message=said,
    )

    html = page(watcher.get(address(call, what)))

    assert not contains_number(html)
    assert "44 ••••••••23" in html
    assert "blacklisted: ••••••23, ••••••23 and ••••••23" in html


def test_a_call_with_erased_numbers_has_a_page(boss: Client, call: CallRequest) -> None:
    CallRequest.objects.update(from_number="", to_number="")

    html = page(boss.get(address(call)))

    assert "deleted → deleted" in text(html)
    assert "Block the" not in html


@pytest.mark.parametrize("what", ["change", "live", "hang-up", "resolve", "block"])
def test_staff_without_permissions_can_see_and_do_nothing(what: str, call: CallRequest) -> None:
    clerk = staff("clerk", "place_call", "hang_up_any_call", "add_blacklistednumber")

    page(clerk.get(address(call, what)), 403)
    page(clerk.post(address(call, what)), 403)


@pytest.mark.parametrize("what", ["change", "live", "hang-up", "resolve", "block"])
@pytest.mark.parametrize("pk", ["999", "9" * 30])
def test_a_missing_call_is_404(what: str, pk: str, boss: Client, db: None) -> None:
    page(boss.get(f"{CALLS}{pk}/{what}/"), 404)


def test_markup_from_outside_is_escaped(boss: Client, new_call: Callable[..., CallRequest]) -> None:
    call = connected(
        new_call(subject=contact(INJECTED[:100])),
        response_detail=INJECTED,
        veto_reason=INJECTED,
        webcallid=INJECTED[:64],
    )
    add_events(call, 1, reason=INJECTED, remote_address="<b>192.0.2.7", answer=412)
    BlacklistedNumber.objects.create(number=CALLER, reason=INJECTED)

    for what in ("change", "live"):
        html = page(boss.get(address(call, what)))
        assert html.count("&lt;script&gt;alert") >= 5
        assert "<script>" not in html
        assert "<img" not in html.replace('<img src="/static/', "")
        assert "<b>192" not in html


def test_the_page_has_no_inline_script_or_style(boss: Client, call: CallRequest) -> None:
    connected(call)
    add_events(call, 3)

    html = page(boss.get(address(call))).partition('id="content-main"')[2]

    assert not re.search(r"<style|<script(?![^>]*src)|\sstyle=|\son\w+=", html)


def _content_type(call: CallRequest) -> int:
    from django.contrib.contenttypes.models import ContentType

    return ContentType.objects.get_for_model(call).pk


def test_the_talk_time_is_displayed_though_the_event_of_the_answer_was_missed(
    boss: Client, call: CallRequest
) -> None:
    ended = {"status": 8, "ended_at": timezone.now(), "b_answered_at": None}
    connected(call, **ended)

    words = text(page(boss.get(address(call))))
    assert words.count("Talk time 1 min 15 s") == 2  # above, and among the facts
    chosen = {"action": "call_again", "_selected_action": [call.pk]}
    asked = text(page(boss.post(CALLS, chosen)))
    assert "The caller and the callee talked for 1 min 15 s." in asked
