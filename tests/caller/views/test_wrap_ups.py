"""The pages for what follows a call: wrap-up, call backs, and *My calls*. None needs a script."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from django_poketalk.calls import call_backs, requesting, wrapping_up
from django_poketalk.models import CallBack, CallRequest, Placement, WrapUp
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.people import agent, connected, contact, hidden, logged_in, page, render, token

PLACE = "/admin/poketalk/callrequest/place/"
REFRESH = 'http-equiv="refresh"'
JSON = {"HTTP_ACCEPT": "application/json"}
TOMORROW = (timezone.now() + timedelta(days=1)).replace(second=0, microsecond=0)
INPUT = f"{timezone.localtime(TOMORROW):%Y-%m-%dT%H:%M}"


@pytest.fixture(autouse=True)
def _dispositions(poketalk: Callable[..., None]) -> None:
    poketalk(DISPOSITIONS={"sold": "Sold", "refused": "Refused"})


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def client(anna: Any) -> Client:
    return logged_in(anna)


@pytest.fixture
def ended(anna: Any, new_call: Callable[..., CallRequest]) -> CallRequest:
    return over(new_call(user=anna, subject=contact(), metadata={"deal": 7}))


def over(call: CallRequest, **changes: Any) -> CallRequest:
    return connected(call, **{"status": 8, "ended_at": timezone.now(), **changes})


def test_the_call_s_page_saves_result_note_and_call_back(
    client: Client, anna: Any, ended: CallRequest
) -> None:
    html = page(client.get(f"/poketalk/{ended.pk}/"))
    assert 'value="sold"' in html

    sent = {"disposition": "sold", "note": "Wants 3.", "follow_up_at": INPUT}
    response = client.post(f"/poketalk/{ended.pk}/wrap-up/", sent, follow=True)

    assert "Saved: Sold." in page(response)
    row = WrapUp.objects.get()
    assert (row.call_id, row.disposition, row.note, row.user) == (
        ended.pk,
        "sold",
        "Wants 3.",
        anna,
    )
    assert CallBack.objects.get().due_at == TOMORROW
    client.post(f"/poketalk/{ended.pk}/wrap-up/", {**sent, "note": "Wants 4."})
    assert WrapUp.objects.get().note == "Wants 4."
    history = render("call_history contact", anna, contact=ended.subject)
    assert "Sold" in history
    assert "Wants 4." in history


def test_a_note_is_never_written_on_a_page_that_loads_again(
    client: Client, anna: Any, new_call: Callable[..., CallRequest]
) -> None:
    call = connected(new_call(user=anna))
    address, link = f"/poketalk/{call.pk}/", "?refresh=off&amp;next=%2Fcontacts%2F7%2F#wrap-up"

    html = page(client.get(address, {"next": "/contacts/7/"}))
    assert REFRESH in html
    assert f'<noscript><p><a href="{link}">' in html
    assert f'action="{address}wrap-up/" hidden>' in html

    quiet = page(client.get(address, {"refresh": "off"}))
    refused = page(client.post(f"{address}wrap-up/", {"follow_up_at": "2020-01-01T10:00"}), 422)
    over(call)
    ended = page(client.get(address))

    for html in (quiet, refused, ended):
        assert f'action="{address}wrap-up/">' in html
        assert REFRESH not in html
        assert "write the wrap-up" not in html
    assert f'<a href="{address}">Update this page automatically' in refused


def test_the_phones_can_ring_by_themselves(client: Client, ended: CallRequest) -> None:
    sent = {"follow_up_at": INPUT, "ring": "on"}
    client.post(f"/poketalk/{ended.pk}/wrap-up/", sent)

    made = CallRequest.objects.latest()
    assert (made.not_before, made.metadata, made.subject) == (
        TOMORROW,
        {"deal": 7},
        ended.subject,
    )
    assert not CallBack.objects.exists()
    later = f"{timezone.localtime(TOMORROW) + timedelta(hours=2):%Y-%m-%dT%H:%M}"
    client.post(f"/poketalk/{made.pk}/schedule/", {"rings_at": later})
    assert CallRequest.objects.latest().rings_at == TOMORROW + timedelta(hours=2)
    assert f"/poketalk/{made.pk}/schedule/" in page(
        client.get("/poketalk/my-calls/?show=scheduled")
    )


def test_a_script_gets_sentences(client: Client, ended: CallRequest) -> None:
    url = f"/poketalk/{ended.pk}/wrap-up/"
    state = client.get(f"/poketalk/{ended.pk}/status/", **JSON).json()
    assert state["wrap_up"]["url"] == url
    assert 'aria-keyshortcuts="2"' in page(client.get(url))

    assert client.post(url, {"disposition": "no"}, **JSON).status_code == 422
    assert client.post(url, {"disposition": "sold"}, **JSON).json() == {"sentence": "Saved: Sold."}
    assert client.get(f"/poketalk/{ended.pk}/status/", **JSON).json()["wrap_up"] is None


def test_others_neither_read_nor_write(ended: CallRequest) -> None:
    client = logged_in(agent("bea"))

    assert client.get(f"/poketalk/{ended.pk}/wrap-up/").status_code == 404
    watcher = logged_in(agent("carl", "view_callrequest"))
    assert watcher.post(f"/poketalk/{ended.pk}/wrap-up/", {"note": "x"}).status_code == 403
    assert not WrapUp.objects.exists()
    back = CallBack.objects.create(user=ended.user, to_number=ended.to_number, due_at=TOMORROW)
    for action in ("", "done/", "remove/"):
        assert client.post(f"/poketalk/call-backs/{back.pk}/{action}").status_code == 404


def test_a_missing_result_is_asked_for_before_the_next_call(
    client: Client, anna: Any, ended: CallRequest, poketalk: Callable[..., None]
) -> None:
    poketalk(WRAP_UP_REQUIRED=True)
    pressed = {"token": token(anna, contact=ended.subject)}

    refused = client.post("/poketalk/place/", pressed, **JSON).json()
    assert refused["code"] == "wrap_up_missing"
    assert refused["wrap_up"]["url"] == f"/poketalk/{ended.pk}/wrap-up/"
    html = page(client.post("/poketalk/place/", pressed), 422)
    assert f"/poketalk/{ended.pk}/#wrap-up" in html

    client.post(refused["wrap_up"]["url"], {"disposition": "refused"})
    assert client.post("/poketalk/place/", pressed, **JSON).json()["phase"] == "calling"


def test_trying_again_is_offered_when_the_callee_was_not_reached(
    client: Client, ended: CallRequest
) -> None:
    url = f"/poketalk/{ended.pk}/try-again/"
    assert url not in page(client.get(f"/poketalk/{ended.pk}/"))
    assert client.post(url).status_code == 403

    over(ended, status=6)
    assert "Try again in 15 minutes" in page(client.get(f"/poketalk/{ended.pk}/"))
    client.post(url)
    assert CallRequest.objects.latest().is_scheduled


def test_a_call_back_from_a_contact_is_done_by_its_call(client: Client, anna: Any) -> None:
    bob = contact()
    form = render('call_back_form contact field="phone"', anna, contact=bob)
    sent = {"token": hidden(form, "token"), "due_at": INPUT, "note": "Ask about 3"}
    client.post("/poketalk/call-backs/add/", sent)
    back = CallBack.objects.get()
    assert (back.subject, back.note, back.due_at) == (bob, "Ask about 3", TOMORROW)

    due = page(client.get("/poketalk/my-calls/?show=due"))
    assert "Ask about 3" in due
    client.post("/poketalk/place/", {"token": hidden(due, "token")})

    back.refresh_from_db()
    assert back.done_at is not None
    assert back.placed == CallRequest.objects.get()
    assert back.placed.subject == bob
    assert "Nobody to call back." in page(client.get("/poketalk/my-calls/?show=due"))


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_scheduled_call_that_waits_no_longer_leads_to_its_page(
    method: str, client: Client, ended: CallRequest
) -> None:
    address = f"/poketalk/{ended.pk}/schedule/?next=/contacts/7/"

    response = getattr(client, method)(address, {"rings_at": INPUT})

    assert response.url.split("?")[0] == f"/poketalk/{ended.pk}/"
    assert "The call is being placed or was canceled." in page(client.get(response.url))


def test_a_call_back_that_is_done_does_not_move(client: Client, anna: Any) -> None:
    back = call_backs.remind(anna, "+442079460123", TOMORROW)
    back.finish(timezone.now())

    sent = {"due_at": f"{timezone.localtime(TOMORROW) + timedelta(hours=2):%Y-%m-%dT%H:%M}"}
    text = page(client.post(f"/poketalk/call-backs/{back.pk}/", sent, follow=True))

    assert CallBack.objects.get().due_at == TOMORROW
    assert "The call back is done." in text
    assert "The call back was changed." not in text


def test_my_calls_filters_and_turns_pages(
    client: Client,
    anna: Any,
    new_call: Callable[..., CallRequest],
    django_assert_max_num_queries: Any,
) -> None:
    calls = [
        CallRequest(
            from_number="+442079460000",
            to_number="+442079460123",
            user=anna,
            placement=Placement.ACCEPTED,
            status=8 if number % 2 else 6,
            max_duration=60,
            expires_at=TOMORROW,
            ended_at=TOMORROW,
        )
        for number in range(60)
    ]
    CallRequest.objects.bulk_create(calls)
    last = CallRequest.objects.latest()
    WrapUp.objects.create(call=last, disposition="sold")
    new_call(user=agent("bea"), to_number="+442079460199")

    client.get("/poketalk/my-calls/")
    with django_assert_max_num_queries(8):  # whatever the number of rows
        html = page(client.get("/poketalk/my-calls/"))
    assert html.count("<tr>") == 26
    assert "0199" not in html
    assert page(client.get("/poketalk/my-calls/?page=3")).count("<tr>") == 11
    assert page(client.get("/poketalk/my-calls/?result=sold")).count("<tr>") == 2
    assert "Next page" in page(client.get("/poketalk/my-calls/?outcome=talked"))
    odd = "/poketalk/my-calls/?outcome=x&result=y&first=z&last=9999-12-31&page=-1&show=q"
    assert page(client.get(odd)).count("<tr>") == 26


def test_quiet_hours_are_said_beside_the_time(
    client: Client, anna: Any, ended: CallRequest, poketalk: Callable[..., None]
) -> None:
    local = timezone.localtime(TOMORROW)
    poketalk(
        QUIET_HOURS=(f"{local - timedelta(hours=3):%H:%M}", f"{local + timedelta(hours=3):%H:%M}")
    )

    html = page(
        client.post(f"/poketalk/{ended.pk}/wrap-up/", {"follow_up_at": INPUT, "ring": "on"}), 422
    )

    assert "quiet hours" in html
    assert CallRequest.objects.count() == 1
    assert not call_backs.scheduled(anna)


def test_a_missing_result_is_asked_for_at_every_door(
    anna: Any, ended: CallRequest, poketalk: Callable[..., None]
) -> None:
    poketalk(WRAP_UP_REQUIRED=True, DEFAULT_REGION="GB")
    codenames = ("dial_any_number", "view_callrequest")
    anna.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    user = type(anna).objects.get(pk=anna.pk)
    user.is_staff = True
    user.save()
    client = logged_in(user)
    sentence = f"Choose the result of your call with {ended.subject} first."
    choose = f"/poketalk/{ended.pk}/?next="

    pad = {"order": hidden(page(client.get("/poketalk/dial/")), "order"), "to_number": CALLEE}
    html = page(client.post("/poketalk/dial/", pad), 422)
    assert sentence in html
    assert choose in html
    refused = client.post("/poketalk/api/calls/", {"to_number": CALLEE}, "application/json")
    assert refused.status_code == 422
    assert refused.json()["code"] == "wrap_up_missing"
    assert refused.json()["detail"] == sentence
    for button in ("_check", "_call"):
        form = {**pad, "order": hidden(page(client.get(PLACE)), "order"), button: "1"}
        html = page(client.post(PLACE, form))
        assert sentence in html
        assert choose in html
    html = page(client.post(f"/admin/poketalk/callrequest/{ended.pk}/again/", follow=True))
    assert sentence in html
    assert CallRequest.objects.count() == 1

    # Those that ring by themselves do not wait, nor does a program's own call.
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    order = {"to_number": CALLEE, "not_before": later}
    assert client.post("/poketalk/api/calls/", order, "application/json").status_code == 201
    assert requesting.request_call(from_number=CALLER, to_number=CALLEE, user=user)

    wrapping_up.wrap_up(ended, user, disposition="sold")
    assert client.post("/poketalk/dial/", pad).status_code == 302
