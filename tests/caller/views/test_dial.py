"""The dial pad: calls to any number, under the rules of all calls."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache

from django_poketalk.models import BlacklistedNumber, CallRequest, Phone
from tests.caller.conftest import CALLEE

from ..people import agent, hidden, logged_in, page

DIAL = "/poketalk/dial/"


@pytest.fixture
def anna(db: None) -> Any:
    return agent("anna", "dial_any_number")


def dialed(client: Any, number: str, **data: str) -> Any:
    order = hidden(page(client.get(DIAL)), "order")
    return client.post(DIAL, {"order": order, "to_number": number, **data})


def test_a_number_is_called_once_however_often_the_form_is_sent(anna: Any) -> None:
    client = logged_in(anna)
    order = hidden(page(client.get(f"{DIAL}?to=020+7946+0123")), "order")

    for _press in range(2):
        answer = client.post(DIAL, {"order": order, "to_number": "+44 20 7946 0123"})

    call = CallRequest.objects.get()
    assert answer.headers["Location"].startswith(f"/poketalk/{call.pk}/")
    assert (call.user, call.to_number, call.requires_permission) == (anna, CALLEE, True)
    other = client.post(DIAL, {"order": order, "to_number": "+44 20 7946 0999"})
    assert "has already placed a call" in page(other, 422)


def test_the_page_requires_its_own_permission(db: None) -> None:
    assert logged_in(agent("ben")).get(DIAL).status_code == 403
    assert logged_in(agent("ben2")).post(DIAL, {"to_number": CALLEE}).status_code == 403
    assert not CallRequest.objects.exists()


def test_a_refusal_stays_on_the_page_with_the_reason_and_a_way_out(
    anna: Any, poketalk: Any
) -> None:
    BlacklistedNumber.objects.create(number=CALLEE)
    client = logged_in(anna)
    assert "is on the blacklist" in page(dialed(client, CALLEE), 422)
    assert "Enter" in page(dialed(client, "hello"), 422)

    poketalk(LIVE_CALLS_PER_USER=1)
    dialed(client, "+44 20 7946 0999")
    html = page(dialed(client, "+44 20 7946 0998"), 422)
    assert "You already have a call in progress." in html
    assert "View that call" in html
    Phone.objects.all().delete()
    assert "Set your own phone number" in page(dialed(client, "+44 20 7946 0997"), 422)


def test_only_a_phone_of_ones_own_can_be_chosen(anna: Any) -> None:
    Phone.objects.create(user=anna, number="+442079460555", label="Desk")
    client = logged_in(anna)

    assert page(dialed(client, CALLEE, phone="+442079460444"), 422)
    assert dialed(client, CALLEE, phone="+442079460555").status_code == 302
    assert CallRequest.objects.get().from_number == "+442079460555"


def test_refused_calls_are_throttled_with_those_of_the_api(anna: Any, settings: Any) -> None:
    """Otherwise, the page would tell all numbers on the blacklist."""
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"poketalk_place": "2/min"}}
    cache.clear()
    BlacklistedNumber.objects.create(number=CALLEE)
    client = logged_in(anna)

    order = {"to_number": CALLEE}
    client.post("/poketalk/api/calls/", order, "application/json")
    assert "is on the blacklist" in page(dialed(client, CALLEE), 422)
    refused = dialed(client, CALLEE)

    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
