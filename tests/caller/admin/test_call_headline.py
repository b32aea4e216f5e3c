"""The headline of a call's page in the admin, its links to people, and calling again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from django_poketalk.models import CallRequest

from ..people import connected, page, someone, staff, text
from .test_call_detail import CALLS, address, boss, watcher

__all__ = ["boss", "watcher"]


def again(html: str) -> str:
    """What the page says beside *Call again*, "" without that."""
    return text(
        html.partition('class="poketalk-again"')[2].partition("</form>")[0].partition(">")[2]
    )


def test_the_headline_says_who_ended_the_call(boss: Client, call: CallRequest) -> None:
    connected(call, status=8, ended_at=timezone.now(), hangup_cause="callee_hung_up")

    head = page(boss.get(address(call))).partition('data-part="state"')[2].partition("</p>")[0]

    assert "Ended by the callee" in text(head)


def test_user_and_subject_are_links_for_who_may_view_them(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    anna = someone("anna", first_name="Anna", last_name="Smith")
    sales = Group.objects.create(name="Sales")
    call = new_call(user=anna, subject=sales)
    links = (
        f"/admin/auth/user/{anna.pk}/change/",
        f"/admin/auth/group/{sales.pk}/change/",
    )

    html = page(boss.get(address(call)))
    plain = page(staff("lead", "view_callrequest").get(address(call)))

    assert f'<a href="{links[0]}"><bdi>Anna Smith</bdi></a>' in html
    assert f'<a href="{links[1]}"><bdi>Sales</bdi></a>' in html
    assert "Anna Smith" in plain
    assert not any(link in plain for link in links)


def test_call_again_says_whose_phone_rings(
    boss: Client, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=someone("anna")), status=8, ended_at=timezone.now())
    assert "The phone of anna rings first. The call is recorded as yours." in again(
        page(boss.get(address(call)))
    )

    response = boss.post(address(call, "again"))

    made = CallRequest.objects.get(user__username="boss")
    assert response["Location"] == address(made)
    assert (made.from_number, made.to_number) == (call.from_number, call.to_number)


def test_calling_again_needs_a_call_that_has_ended_and_permission(
    boss: Client, watcher: Client, call: CallRequest
) -> None:
    connected(call)
    assert again(page(boss.get(address(call)))) == ""
    boss.post(address(call, "again"))

    connected(call, status=8, ended_at=timezone.now())
    assert again(page(watcher.get(address(call)))) == ""
    assert watcher.post(address(call, "again")).status_code == 403

    assert boss.get(address(call, "again")).status_code == 405
    assert CallRequest.objects.count() == 1


def test_the_dial_pad_is_linked_for_who_may_use_it(boss: Client, watcher: Client) -> None:
    link = 'href="/poketalk/dial/?next='

    assert link in page(boss.get(CALLS))
    assert link not in page(watcher.get(CALLS))


def test_a_scheduled_call_is_not_said_to_wait(boss: Client, call: CallRequest) -> None:
    later = timezone.now() + timedelta(hours=3)
    CallRequest.objects.filter(pk=call.pk).update(not_before=later, rings_at=later)

    html = page(boss.get(CALLS))

    assert 'data-phase="calling">Scheduled</span>' in html
    assert "Waiting" not in text(html.partition('id="result_list"')[2].partition("</table>")[0])
