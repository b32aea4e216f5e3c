"""The bar with the open call, without a script, and the URLs that its script asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from django_poketalk.models import CallRequest, Phone

from ..people import agent, connected, contact, contains_number, logged_in, render, someone

MIDDLEWARE = "django_poketalk.middleware.AdminCallBarMiddleware"
NewCall = Callable[..., CallRequest]


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


def test_the_bar_has_the_open_call_with_a_link_and_a_form_that_hangs_up(
    anna: Any, new_call: NewCall
) -> None:
    call = connected(new_call(user=anna, subject=contact()))

    html = render("call_bar", anna)

    assert f'href="/poketalk/{call.pk}/?next=%2Fcontacts%2F7%2F%3Ftab%3Dphones">Bob</a>' in html
    assert f'<form method="post" action="/poketalk/{call.pk}/hang-up/">' in html
    assert ">Connected</span>" in html
    assert " hidden>" not in html
    assert not contains_number(html)


def test_without_an_open_call_the_bar_is_there_for_its_script_but_hidden(
    anna: Any, new_call: NewCall
) -> None:
    new_call(user=someone("ben"))

    assert re.search(r"<section [^>]* hidden>", render("call_bar", anna))
    assert render("call_bar", someone("carl")) == render("call_bar") == ""


def test_the_bar_and_the_buttons_of_a_page_share_one_query(
    anna: Any, new_call: NewCall, django_assert_num_queries: Any
) -> None:
    bob = contact()
    connected(new_call(user=anna, subject=bob))
    button = '{% call_button contact field="phone" %}'
    tags = f"call_bar %}}{button * 3}{{% call_button contact field='phone'"
    render(tags, anna, contact=bob)  # the permissions and the type of contacts
    with django_assert_num_queries(3):  # the calls, what they are about, and the phones
        render(tags, anna, contact=bob)


def test_the_open_calls_as_json_have_an_etag_and_belong_to_the_user(
    anna: Any, new_call: NewCall
) -> None:
    call = connected(new_call(user=anna, subject=contact()))
    new_call(user=someone("ben"))
    client = logged_in(anna)

    response = client.get("/poketalk/current/")
    [shown] = response.json()["calls"]
    again = client.get("/poketalk/current/", headers={"If-None-Match": response["ETag"]})
    call.request_hang_up(call.created_at)
    changed = client.get("/poketalk/current/", headers={"If-None-Match": response["ETag"]})

    assert (shown["id"], shown["callee"], shown["phase"]) == (call.pk, "Bob", "talking")
    assert shown["hang_up_url"] == f"/poketalk/{call.pk}/hang-up/"
    assert (again.status_code, changed.status_code) == (304, 200)


def test_nobody_else_gets_them(client: Any, db: None) -> None:
    assert client.get("/poketalk/current/").status_code == 401
    assert client.get("/poketalk/history/?list=x").status_code == 401


def test_the_recent_calls_can_be_loaded_again(anna: Any, new_call: NewCall) -> None:
    bob = contact()
    html = render("call_history contact", anna, contact=bob)
    found = re.search(r'src="([^"]*)"', html)
    assert found
    assert "No calls yet." in html
    address = unescape(found[1])
    call = new_call(user=anna, subject=bob)

    fresh = logged_in(anna).get(address).content.decode()
    other = logged_in(someone("ben")).get(address).content.decode()

    assert f"/poketalk/{call.pk}/?next=%2Fcontacts%2F7%2F%3Ftab%3Dphones" in fresh
    assert "No calls yet." in other
    assert logged_in(anna).get(address.replace("list=", "list=x")).status_code == 404


def test_the_middleware_puts_the_bar_on_each_page_of_the_admin(
    new_call: NewCall, settings: Any
) -> None:
    boss = someone("boss", is_staff=True, is_superuser=True)
    call = connected(new_call(user=boss, subject=contact()))
    client = logged_in(boss)
    assert b"poketalk-call-bar" not in client.get("/admin/").content
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, MIDDLEWARE]
    client = logged_in(boss)

    for path in ("/admin/", "/admin/auth/user/", f"/admin/poketalk/callrequest/{call.pk}/change/"):
        html = client.get(path).content.decode()
        assert f'action="/poketalk/{call.pk}/hang-up/"' in html, path
        assert html.count("<poketalk-call-bar") == 1
    popup = client.get("/admin/auth/user/add/?_popup=1").content
    assert b"poketalk-call-bar" not in popup
    assert b"poketalk-call-bar" not in client.get(f"/poketalk/{call.pk}/").content


def test_users_without_a_phone_get_a_tel_link_if_the_page_wants_it(anna: Any) -> None:
    bob = contact(phone="+44 20 7946 0123 ext. 12")
    wanted = 'call_button contact field="phone" tel=True'
    assert "<poketalk-call" in render(wanted, anna, contact=bob)

    Phone.objects.all().delete()
    link = '<a class="poketalk-tel" href="tel:+442079460123;ext=12" aria-label="Call: Bob">Call</a>'
    assert render(wanted, anna, contact=bob) == link
    assert "<poketalk-call" in render('call_button contact field="phone"', anna, contact=bob)
    assert render(wanted, someone("stranger"), contact=bob) == ""
    assert render(wanted, contact=bob) == ""
