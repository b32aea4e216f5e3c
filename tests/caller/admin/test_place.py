"""Placing a call from the admin: permissions, the quote, and that a form places one call."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client

from django_poketalk.models import BlacklistedNumber, CallRequest

from ..conftest import CALLEE, CALLER
from ..people import agent, hidden, logged_in, page, staff

CALLS = "/admin/poketalk/callrequest/"
PLACE = f"{CALLS}place/"
OTHER = "+442079460777"
INJECTED = "<script>alert('x')</script>"


@pytest.fixture
def anna(db: None) -> Client:
    """A user with an own number who may place calls and watch all calls."""
    user = agent("anna", "view_callrequest")
    user.is_staff = True
    user.save()
    return logged_in(user)


def order(client: Client, **fields: Any) -> dict[str, Any]:
    """The data of the opened form, filled in."""
    return {"order": hidden(page(client.get(PLACE)), "order"), "to_number": CALLEE, **fields}


def check(client: Client, **fields: Any) -> str:
    return page(client.post(PLACE, {**order(client, **fields), "_check": "Check"}))


def call(client: Client, **fields: Any) -> Any:
    return client.post(PLACE, {**order(client, **fields), "_call": "Call"})


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def error_of(html: str, field: str) -> str:
    """The error of this field."""
    row = re.search(rf'field-{field}".*?(?=form-row|</fieldset>)', html, re.DOTALL)
    assert row
    found = re.search(r'<ul class="errorlist"[^>]*>(.*?)</ul>', row[0], re.DOTALL)
    return text(found[1]) if found else ""


# Permissions


def test_the_page_and_its_link_require_the_permission_to_place_calls(anna: Client) -> None:
    watcher = staff("watcher", "view_callrequest")

    assert f'href="{PLACE}"' in page(anna.get(CALLS))
    assert PLACE not in page(watcher.get(CALLS))
    page(watcher.get(PLACE), 403)
    page(watcher.post(PLACE, {"to_number": CALLEE, "_call": "Call"}), 403)
    assert not CallRequest.objects.exists()


def test_it_is_a_page_of_the_admin(db: None) -> None:
    assert page(logged_in(agent()).get(PLACE), 302) == ""


def test_users_without_access_to_calls_in_the_admin_are_sent_to_the_call_s_own_page(
    db: None,
) -> None:
    user = agent("ben")
    user.is_staff = True
    user.save()

    response = call(logged_in(user))

    assert response["Location"] == f"/poketalk/{CallRequest.objects.get().pk}/"


# The phone that rings first


def test_the_user_s_own_number_is_prefilled_and_fixed(anna: Client) -> None:
    html = page(anna.get(PLACE))
    field = re.search(r'<input[^>]*name="from_number"[^>]*>', html)

    assert field
    assert 'value="+44 20 7946 0000"' in field[0]
    assert " disabled" in field[0]
    page(call(anna, from_number=OTHER), 302)
    assert CallRequest.objects.get().from_number == CALLER


def test_users_with_the_permission_can_enter_another_caller(db: None) -> None:
    user = agent("boss", "choose_caller_phone", "view_callrequest")
    user.is_staff = True
    user.save()

    page(call(logged_in(user), from_number="+44 20 7946 0777"), 302)

    assert CallRequest.objects.get().from_number == OTHER


def test_without_an_own_number_there_is_a_link_to_set_it(db: None) -> None:
    client = staff("new", "place_call")

    html = page(client.get(PLACE))
    assert 'href="/poketalk/my-phones/?next=/admin/poketalk/callrequest/place/"' in html
    html = page(call(client))
    assert "rings first, but its number is not set yet" in error_of(html, "from_number").replace(
        "&#x27;", "'"
    )
    assert not CallRequest.objects.exists()


# The quote


def test_checking_shows_a_quote_and_places_no_call(
    anna: Client, poketalk: Callable[..., None], woken: list[Any]
) -> None:
    poketalk(
        DEFAULT_REGION="GB",
        QUIET_HOURS=("21:00", "08:00"),
        CALLS_PER_HOUR=100,
        LIVE_CALLS_PER_USER=1,
        SPEND_PER_DAY=Decimal(20),
    )

    with time_machine.travel(datetime(2026, 7, 1, 14, tzinfo=UTC), tick=False):
        html = check(anna, to_number="+1 (202) 555-0123", minutes="5", max_cost="1.5")

    said = text(html)
    for expected in (
        "The call is allowed. No phone has rung yet.",
        "Rings first +44 20 7946 0000 (United Kingdom)",
        "Then rings +1 202-555-0123 (United States)",
        "Local time 07/01/2026 10:00",
        "Quiet hours 21:00–08:00 not in effect now",
        "Blacklist neither number is listed",
        "after 5 min at the latest, or at a cost of 1.50",
        "Your open calls 1 0 1",
        "Calls in the last hour (all users) 100 0 100",
        "Cost of all calls today 20.00 0 20.00",
    ):
        assert expected in said
    assert 'name="_call"' in html
    assert (CallRequest.objects.count(), woken) == (0, [])


def test_caps_of_all_users_require_the_permission_to_see_all_calls(
    poketalk: Callable[..., None], db: None
) -> None:
    poketalk(LIVE_CALLS_PER_USER=1, CALLS_PER_HOUR_PER_CALLEE=9, SPEND_PER_DAY=Decimal(20))
    user = agent("ben")
    user.is_staff = True
    user.save()

    said = check(logged_in(user))

    assert "Your open calls" in said
    assert "Calls to this number" not in said
    assert "Cost of all calls" not in said


def test_each_refusal_is_an_error_of_its_field_and_there_is_no_call_button(
    anna: Client, poketalk: Callable[..., None], new_call: Any
) -> None:
    new_call()
    BlacklistedNumber.objects.create(number=CALLEE, reason=INJECTED)
    poketalk(ALLOWED_COUNTRIES=["FR"], LIVE_CALLS=1)

    html = check(anna)

    assert "Calls to the country of +44 20 7946 0000" in error_of(html, "from_number")
    assert "is on the blacklist: &lt;script&gt;" in error_of(html, "to_number")
    assert "All lines are busy." in html
    assert "The call would be refused. No phone has rung." in html
    assert 'name="_call"' not in html
    assert "<script>alert" not in html


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"to_number": "nobody"}, "to_number"),
        ({"to_number": INJECTED}, "to_number"),
        ({"to_number": ""}, "to_number"),
        ({"to_number": CALLER}, "to_number"),
        ({"minutes": "0"}, "minutes"),
        ({"minutes": "٣0x"}, "minutes"),
        ({"minutes": "99999999999"}, "minutes"),
        ({"max_cost": "-1"}, "max_cost"),
        ({"max_cost": "NaN"}, "max_cost"),
        ({"max_cost": "1E+99"}, "max_cost"),
    ],
)
@pytest.mark.parametrize("press", ["_check", "_call"])
def test_an_invalid_value_is_an_error_of_its_field(
    fields: dict[str, str], field: str, press: str, anna: Client
) -> None:
    html = page(anna.post(PLACE, {**order(anna, **fields), press: "x"}))

    assert error_of(html, field)
    assert "<script>alert" not in html
    assert not CallRequest.objects.exists()


def test_the_link_to_a_blacklist_entry_requires_the_permission_to_view_it(anna: Client) -> None:
    entry = BlacklistedNumber.objects.create(number=CALLEE)
    link = f"/admin/poketalk/blacklistednumber/{entry.pk}/change/"
    keeper = agent("keeper", "view_blacklistednumber")
    keeper.is_staff = True
    keeper.save()

    assert link not in check(anna)
    assert link in check(logged_in(keeper))


def test_the_number_can_be_passed_in_the_url(anna: Client) -> None:
    html = page(anna.get(PLACE, {"to": '+44 20"><script>alert(1)</script>'}))

    assert 'value="+44 20&quot;&gt;&lt;script&gt;' in html


# One call


def test_calling_places_the_call_and_redirects_to_its_page(
    anna: Client, poketalk: Callable[..., None]
) -> None:
    poketalk(DEFAULT_REGION="GB")

    response = call(anna, to_number="020 7946-0123", minutes="5", max_cost="1.5")

    made = CallRequest.objects.get()
    assert response["Location"] == f"{CALLS}{made.pk}/change/"
    assert (made.from_number, made.to_number, made.user.username) == (CALLER, CALLEE, "anna")
    assert (made.max_duration, made.max_cost) == (300, Decimal("1.5"))
    assert "Your phone will ring in a moment." in page(anna.get(response["Location"]))


def test_the_history_has_masked_numbers(anna: Client) -> None:
    call(anna)

    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.is_addition()) == ("anna", True)
    assert entry.object_id == str(CallRequest.objects.get().pk)
    assert entry.object_repr == "+44 ••••••••00 → +44 ••••••••23"


def test_a_double_click_places_one_call(anna: Client, poketalk: Callable[..., None]) -> None:
    poketalk(LIVE_CALLS_PER_USER=1)
    filled = {**order(anna), "_call": "Call"}

    first = anna.post(PLACE, filled)
    # A browser ignores the response to the first click, and its cookies.
    anna.cookies.pop("messages")
    second = anna.post(PLACE, filled, follow=True)

    assert second.redirect_chain == [(first["Location"], 302)]
    assert "The call is being placed." in page(second)
    assert (CallRequest.objects.count(), LogEntry.objects.count()) == (1, 1)


def test_the_order_token_stays_the_same_until_the_call(anna: Client) -> None:
    filled = order(anna)
    html = page(anna.post(PLACE, {**filled, "_check": "Check"}))

    assert hidden(html, "order") == filled["order"]


def test_a_form_places_only_one_call(anna: Client) -> None:
    filled = {**order(anna), "_call": "Call"}
    anna.post(PLACE, filled)

    html = page(anna.post(PLACE, {**filled, "to_number": OTHER}))

    assert "This form has already placed a call." in html
    assert CallRequest.objects.count() == 1


@pytest.mark.parametrize("token", ["", "forged", "someone else's"])
def test_the_order_token_of_another_user_is_refused_and_replaced(token: str, anna: Client) -> None:
    if token == "someone else's":
        token = order(staff("eve", "place_call"))["order"]

    html = page(anna.post(PLACE, {"order": token, "to_number": CALLEE, "_call": "Call"}))

    assert "errornote" in html
    assert not CallRequest.objects.exists()
    again = {"order": hidden(html, "order"), "to_number": CALLEE, "_call": "Call"}
    page(anna.post(PLACE, again), 302)


def test_placing_requires_a_csrf_token(anna: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.get(username="anna"))

    page(strict.post(PLACE, {**order(anna), "_call": "Call"}), 403)

    assert not CallRequest.objects.exists()


def test_the_page_makes_few_queries(
    anna: Client, poketalk: Callable[..., None], django_assert_num_queries: Callable[..., Any]
) -> None:
    poketalk(CALLS_PER_HOUR=100)
    filled = order(anna)

    with django_assert_num_queries(5):  # session, user; two of permissions; own number
        anna.get(PLACE)
    with django_assert_num_queries(7):  # and the blacklist, the cap
        anna.post(PLACE, {**filled, "_check": "Check"})


def test_users_with_an_open_call_get_a_link_to_it(
    anna: Client, new_call: Callable[..., CallRequest], poketalk: Callable[..., None]
) -> None:
    poketalk(LIVE_CALLS_PER_USER=1)
    going_on = new_call(user=get_user_model().objects.get())
    link = f'<a href="/admin/poketalk/callrequest/{going_on.pk}/change/">View that call</a>'

    for answer in (check(anna), page(call(anna))):
        assert "You already have a call in progress." in answer
        assert link in answer

    CallRequest.objects.update(placement="cancelled")
    assert "View that call" not in check(anna)


def test_costs_have_their_currency(anna: Client, poketalk: Callable[..., None]) -> None:
    poketalk(MAX_COST=Decimal(5), CURRENCY="EUR")

    assert "Up to 5.00 EUR. Leave empty for 5.00 EUR." in page(anna.get(PLACE))
    assert "or at a cost of 1.50 EUR" in text(check(anna, max_cost="1.5"))
