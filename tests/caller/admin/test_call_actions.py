"""The actions on one call in the admin: hang up, resolve manually, block its numbers."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from django_poketalk.calls import placing, requesting
from django_poketalk.events import incoming
from django_poketalk.models import BlacklistedNumber, CallRequest, ManualResolution, Placement
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event

from ..conftest import CALLEE, CALLER
from ..people import connected, contains_number, limits_of, page, staff

CALLS = "/admin/poketalk/callrequest/"


@pytest.fixture
def boss(db: None) -> Client:
    return staff("boss", is_superuser=True)


@pytest.fixture
def watcher(db: None) -> Client:
    return staff("watcher", "view_callrequest")


@pytest.fixture
def unknown(call: CallRequest) -> CallRequest:
    """A call for which the service gave no clear answer."""
    assert call.begin_sending(timezone.now())
    assert call.lose("HTTP 502")
    return call


def address(call: CallRequest, what: str) -> str:
    return f"{CALLS}{call.pk}/{what}/"


def history(call: CallRequest) -> list[str]:
    entries = LogEntry.objects.filter(object_id=str(call.pk)).order_by("pk")
    return [
        entry.get_change_message() for entry in entries if entry.content_type.model == "callrequest"
    ]


# Hanging up


def test_a_hang_up_ends_the_call_and_is_logged(call: CallRequest) -> None:
    operator = staff("operator", "view_callrequest", "hang_up_any_call")
    connected(call)
    button = 'id="poketalk-hang-up-button"'
    assert button in page(operator.get(address(call, "change")))

    html = page(operator.post(address(call, "hang-up"), follow=True))

    call.refresh_from_db()
    assert call.hangup_requested_by.username == "operator"
    assert "The call is being ended." in html
    assert button not in html
    assert history(call) == ["Requested hang-up."]
    assert "<strong><bdi>operator</bdi></strong> Requested hang-up." in html


def test_hanging_up_requires_the_permission_and_a_post(
    boss: Client, watcher: Client, call: CallRequest
) -> None:
    connected(call)

    assert "hang-up" not in page(watcher.get(address(call, "change")))
    page(watcher.post(address(call, "hang-up")), 403)
    page(boss.get(address(call, "hang-up")), 405)

    call.refresh_from_db()
    assert call.hangup_requested_at is None


def test_actions_require_a_csrf_token(call: CallRequest) -> None:
    connected(call)
    boss = staff("boss", is_superuser=True)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = boss.cookies

    for what in ("hang-up", "resolve", "block"):
        page(strict.post(address(call, what), {"leg": "to"}), 403)

    assert not LogEntry.objects.exists()


def test_hanging_up_an_ended_call_shows_a_warning(boss: Client, call: CallRequest) -> None:
    connected(call, status=8, ended_at=timezone.now())

    html = page(boss.post(address(call, "hang-up"), follow=True))

    assert "This call has already ended or is ending." in html
    assert history(call) == []


# Resolving


@pytest.mark.parametrize(
    ("result", "placement", "is_open"),
    [
        (ManualResolution.RANG, Placement.ACCEPTED, True),
        (ManualResolution.NEVER_RANG, Placement.FAILED, False),
        (ManualResolution.OVER, Placement.ACCEPTED, False),
    ],
)
def test_an_unknown_call_is_resolved_manually_with_a_note(
    result: ManualResolution, placement: Placement, is_open: bool, unknown: CallRequest
) -> None:
    keeper = staff("keeper", "view_callrequest", "change_callrequest")
    link = f'href="{address(unknown, "resolve")}"'
    assert link in page(keeper.get(address(unknown, "change")))
    assert unknown.webcallid in page(keeper.get(address(unknown, "resolve")))

    answer = {"result": result.value, "note": "asked the service"}
    html = page(keeper.post(address(unknown, "resolve"), answer, follow=True))

    unknown.refresh_from_db()
    assert (unknown.placement, unknown.is_open) == (placement, is_open)
    assert history(unknown) == [f"Resolved manually ({result.value}): asked the service"]
    assert "asked the service" in html
    assert link not in html


@pytest.mark.parametrize("result", list(ManualResolution))
def test_a_later_event_overrides_a_manual_resolution(
    result: ManualResolution, unknown: CallRequest
) -> None:
    assert requesting.resolve(unknown, result)

    reply = incoming.receive(limits_of(unknown), Event(CallStatus.A_ANSWERED), "192.0.2.7")

    unknown.refresh_from_db()
    assert reply.status == 200
    assert (unknown.placement, unknown.status) == (Placement.ACCEPTED, 3)
    assert unknown.is_open


@pytest.mark.parametrize("result", list(ManualResolution))
def test_a_call_with_an_event_cannot_be_resolved(
    result: ManualResolution, unknown: CallRequest
) -> None:
    stale = CallRequest.objects.get(pk=unknown.pk)
    incoming.receive(limits_of(unknown), Event(CallStatus.A_ANSWERED), "192.0.2.7")

    assert not requesting.resolve(stale, result)

    unknown.refresh_from_db()
    assert (unknown.placement, unknown.status) == (Placement.ACCEPTED, 3)
    assert unknown.is_open


def test_a_stale_call_that_is_resolved_as_rang_stays_stale(
    unknown: CallRequest,
) -> None:
    CallRequest.objects.update(sent_at=timezone.now() - timedelta(hours=1))
    assert placing.sweep().stale == 1
    unknown.refresh_from_db()

    assert requesting.resolve(unknown, ManualResolution.RANG)

    unknown.refresh_from_db()
    assert unknown.placement == Placement.ACCEPTED
    assert not unknown.is_open


@pytest.mark.parametrize(
    "answer",
    [
        {"result": "rang", "note": ""},
        {"result": "rang", "note": "   "},
        {"result": "perhaps", "note": "asked"},
        {"note": "asked"},
        {"result": "rang", "note": "x" * 201},
        {},
    ],
)
def test_resolving_requires_a_result_and_a_note(
    answer: dict[str, str], boss: Client, unknown: CallRequest
) -> None:
    html = page(boss.post(address(unknown, "resolve"), answer))

    unknown.refresh_from_db()
    assert 'class="errorlist"' in html
    assert unknown.placement == Placement.UNKNOWN
    assert history(unknown) == []


def test_resolving_requires_the_permission(watcher: Client, unknown: CallRequest) -> None:
    assert "resolve" not in page(watcher.get(address(unknown, "change")))
    page(watcher.get(address(unknown, "resolve")), 403)
    page(watcher.post(address(unknown, "resolve"), {"result": "rang", "note": "so"}), 403)

    unknown.refresh_from_db()
    assert unknown.placement == Placement.UNKNOWN


def test_a_call_with_a_known_outcome_is_not_resolved(boss: Client, call: CallRequest) -> None:
    connected(call)

    answer = {"result": "never_rang", "note": "so"}
    html = page(boss.post(address(call, "resolve"), answer, follow=True))

    call.refresh_from_db()
    assert "There is nothing to resolve" in html
    assert call.placement == Placement.ACCEPTED
    assert history(call) == []


def test_markup_in_a_note_is_escaped(boss: Client, unknown: CallRequest) -> None:
    answer = {"result": "rang", "note": "<script>alert(1)</script>"}

    html = page(boss.post(address(unknown, "resolve"), answer, follow=True))

    assert "&lt;script&gt;alert(1)" in html
    assert "<script>" not in html


# Blocking


@pytest.mark.parametrize(
    ("leg", "role", "number"), [("from", "caller", CALLER), ("to", "callee", CALLEE)]
)
def test_one_press_blocks_a_number(leg: str, role: str, number: str, call: CallRequest) -> None:
    keeper = staff("keeper", "view_callrequest", "add_blacklistednumber", "view_blacklistednumber")
    rendered = page(keeper.get(address(call, "change")))
    [reason] = re.findall(rf'id="poketalk-reason-{leg}"[^>]* value="([^"]*)"', rendered)

    html = page(keeper.post(address(call, "block"), {"leg": leg, "reason": reason}, follow=True))

    entry = BlacklistedNumber.objects.get()
    assert (entry.number, entry.direction, entry.is_prefix, entry.until) == (
        number,
        leg,
        False,
        None,
    )
    assert entry.reason in ("This phone may not place calls.", "Do not call this number.")
    assert entry.created_by.username == "keeper"
    assert "Already blocked." in html
    assert f'href="/admin/poketalk/blacklistednumber/{entry.pk}/change/"' in html
    assert history(call) == [f"Blocked the {role}."]
    assert LogEntry.objects.filter(content_type__model="blacklistednumber").count() == 1
    assert not requesting.quote(from_number=CALLER, to_number=CALLEE).is_allowed


def test_the_message_undoes_a_block(boss: Client, call: CallRequest) -> None:
    html = page(boss.post(address(call, "block"), {"leg": "to"}, follow=True))
    [target] = re.findall(r'<form method="post" action="([^"]*/unblock/)"', html)
    [key] = re.findall(r'name="entry" value="(\d+)"', html)

    undone = page(boss.post(target, {"entry": key}, follow=True))
    again = page(boss.post(target, {"entry": key}, follow=True))

    assert "The number was removed from the blacklist again." in undone
    assert "Nothing was undone." in again
    assert not BlacklistedNumber.objects.exists()
    assert len(history(call)) == 2


def test_undo_requires_the_permission_and_the_own_entry_of_the_call(
    boss: Client, watcher: Client, call: CallRequest
) -> None:
    boss.post(address(call, "block"), {"leg": "to"})
    of_call = BlacklistedNumber.objects.get()
    of_others = BlacklistedNumber.objects.create(number=CALLER, direction="from")
    another = BlacklistedNumber.objects.create(number="+4930123456", created_by=of_call.created_by)

    page(watcher.post(address(call, "unblock"), {"entry": of_call.pk}), 403)
    page(boss.get(address(call, "unblock")), 405)
    for key in (of_others.pk, another.pk, "x", ""):
        assert "Nothing was undone." in page(
            boss.post(address(call, "unblock"), {"entry": key}, follow=True)
        )

    assert BlacklistedNumber.objects.count() == 3


def test_blocking_a_blocked_number_shows_a_warning(boss: Client, call: CallRequest) -> None:
    BlacklistedNumber.objects.create(number="+4420", is_prefix=True, reason="all of London")

    html = page(boss.get(address(call, "change")))
    again = page(boss.post(address(call, "block"), {"leg": "to"}, follow=True))

    assert html.count("Already blocked.") == 2
    assert "all of London" in html
    assert "Block the" not in html
    assert "That number is already on the blacklist." in again
    assert BlacklistedNumber.objects.count() == 1


def test_blocking_renews_an_expired_entry(boss: Client, call: CallRequest) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    BlacklistedNumber.objects.create(number=CALLEE, direction="to", until=yesterday)

    boss.post(address(call, "block"), {"leg": "to", "reason": "again"})

    entry = BlacklistedNumber.objects.get()
    assert (entry.until, entry.reason) == (None, "again")


def test_blocking_requires_the_permission_and_a_post(
    boss: Client, watcher: Client, call: CallRequest
) -> None:
    assert "Block the" not in page(watcher.get(address(call, "change")))
    page(watcher.post(address(call, "block"), {"leg": "to"}), 403)
    page(boss.get(address(call, "block")), 405)

    assert not BlacklistedNumber.objects.exists()


@pytest.mark.parametrize("leg", ["", "both", "x", "FROM"])
def test_only_the_numbers_of_the_call_can_be_blocked(
    leg: str, boss: Client, call: CallRequest
) -> None:
    page(boss.post(address(call, "block"), {"leg": leg, "number": "+442079460999"}), 404)

    assert not BlacklistedNumber.objects.exists()


def test_an_erased_number_cannot_be_blocked(boss: Client, call: CallRequest) -> None:
    CallRequest.objects.update(to_number="")

    page(boss.post(address(call, "block"), {"leg": "to"}), 404)


def test_a_long_reason_is_truncated(boss: Client, call: CallRequest) -> None:
    boss.post(address(call, "block"), {"leg": "to", "reason": " so \n" * 200})

    assert len(BlacklistedNumber.objects.get().reason) <= 200


def test_blocking_does_not_reveal_masked_numbers(call: CallRequest) -> None:
    keeper = staff("keeper", "view_callrequest", "add_blacklistednumber")

    html = page(keeper.post(address(call, "block"), {"leg": "to"}, follow=True))

    assert not contains_number(html)
    assert BlacklistedNumber.objects.get().number == CALLEE
