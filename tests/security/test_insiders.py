"""People who may not see numbers cannot find one out with what else they may do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_poketalk.calls import redialing, requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import BlacklistedNumber, CallBack, CallRequest, Phone
from django_poketalk.server import models as service
from tests.caller.api.rest_client import QUOTE, post
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.people import connected, contains_number, logged_in, page, someone, text
from tests.security.test_masked_numbers import person

pytestmark = pytest.mark.django_db
ADMIN = "/admin/poketalk"
CALLS = f"{ADMIN}/callrequest/"
BULK_ADD = f"{ADMIN}/blacklistednumber/add-in-bulk/"
MY_PHONE, SOMEBODY = "+442079460111", "+442079460777"


@pytest.fixture
def insider() -> Client:
    """All permissions but the one to see numbers, and a phone of one's own."""
    client = person("view_numbers")
    Phone.objects.create(user=get_user_model().objects.get(), number=MY_PHONE)
    return client


@pytest.fixture
def call(insider: Client) -> CallRequest:
    """A call of somebody else."""
    return requesting.request_call(from_number=CALLER, to_number=CALLEE, user=someone("bea"))


def test_calling_again_does_not_make_it_ones_own_call(insider: Client, call: CallRequest) -> None:
    requesting.cancel(call)
    action = {"action": "call_again", "_selected_action": call.pk, "confirmed": "1"}

    html = page(insider.post(CALLS, action, follow=True))

    assert "You are not allowed to see the numbers of this call." in html
    assert not contains_number(html)
    assert CallRequest.objects.get() == call


def test_ones_own_call_can_be_called_again() -> None:
    anna = someone("anna", "place_call")
    Phone.objects.create(user=anna, number=CALLER)
    call = requesting.request_call(from_number=CALLER, to_number=CALLEE, user=anna)
    requesting.cancel(call)

    assert redialing.call_again(call, anna).to_number == CALLEE


def test_a_masked_phone_cannot_be_made_ones_own(insider: Client) -> None:
    phone = Phone.objects.create(user=someone("bea"), number=CALLER, label="Desk")
    thief = get_user_model().objects.exclude(username="bea").get()
    form = {"user": thief.pk, "label": "Mine"}

    page(insider.post(f"{ADMIN}/phone/{phone.pk}/change/", form), 302)

    phone.refresh_from_db()
    assert (phone.user.get_username(), phone.label) == ("bea", "Mine")
    assert "7946 0000" not in page(insider.get("/poketalk/my-phones/"))


def test_prefixes_on_the_blacklist_do_not_tell_the_digits_of_a_masked_call(
    insider: Client, call: CallRequest
) -> None:
    guesses = (CALLEE[:-1], "+44207946999")  # one of them matches
    pages = []
    for prefix in guesses:
        BlacklistedNumber.objects.all().delete()
        BlacklistedNumber.objects.create(number=prefix, is_prefix=True)
        html = page(insider.get(f"{CALLS}{call.pk}/change/"))
        pages.append(text(html.partition('id="poketalk-numbers"')[2].partition("</section>")[0]))
    assert "Block the callee" in pages[0]
    assert pages[0] == pages[1]

    for prefix in guesses:
        BlacklistedNumber.objects.all().delete()
        BlacklistedNumber.objects.create(number=prefix, is_prefix=True)
        said = page(insider.post(f"{CALLS}{call.pk}/block/", {"leg": "to"}, follow=True))
        assert "The number was added to the blacklist." in said
        assert BlacklistedNumber.objects.filter(number=CALLEE, is_prefix=False).count() == 1


@pytest.mark.parametrize("model", [BlacklistedNumber, service.BlacklistedNumber])
def test_a_masked_prefix_stays_one(insider: Client, model: Any) -> None:
    """Whether it can be a number would be an error with the number."""
    entry = model.objects.create(number=CALLEE[:-2], is_prefix=True)
    path = reverse(f"admin:{model._meta.app_label}_blacklistednumber_change", args=[entry.pk])

    page(insider.post(path, {"reason": "New", "direction": "to"}), 302)

    entry.refresh_from_db()
    assert (entry.is_prefix, entry.reason) == (True, "New")


def test_adding_in_bulk_does_not_tell_what_is_on_the_blacklist(insider: Client) -> None:
    BlacklistedNumber.objects.create(number=SOMEBODY)
    form = {"direction": "both", "reason": "", "until_0": "", "_check": "x"}
    found = [
        text(page(insider.post(BULK_ADD, {"lines": number, **form}))).replace(number, "")
        for number in (SOMEBODY, "+442079460778")
    ]
    seeing = page(person().post(BULK_ADD, {"lines": SOMEBODY, **form}))

    assert "1 new entry" in found[0]
    assert found[0] == found[1]
    assert "Already on the blacklist" in seeing


def test_the_history_has_no_numbers_for_anybody(call: CallRequest) -> None:
    CallRequest.objects.update(placement="unknown")
    form = {"result": "rang", "note": f"Asked {CALLEE}: it rang"}

    page(person().post(f"{CALLS}{call.pk}/resolve/", form), 302)

    [entry] = LogEntry.objects.all()
    assert "it rang" in entry.change_message
    assert not contains_number(entry.change_message)


def test_the_etag_of_a_masked_call_does_not_confirm_a_guess(
    insider: Client, call: CallRequest, settings: Any
) -> None:
    """Its facts include both numbers, and all others may be known: who could compute it would only
    have to try the hidden digits.
    """
    path, moment = f"{CALLS}{call.pk}/live/", timezone.now()
    with mock.patch("django.utils.timezone.now", return_value=moment):
        response = insider.get(path)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]  # keeps the session
        settings.SECRET_KEY = "another key"
        other = insider.get(path)

    assert not contains_number(page(response))
    assert response.headers["ETag"] != other.headers["ETag"]


# Checks


def throttled(settings: Any, **rates: str | None) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": rates}


def check(client: Client, number: str = CALLEE) -> Any:
    order = {"to_number": number, "from_number": MY_PHONE, "_check": "Check"}
    return client.post(f"{CALLS}place/", order)


def test_a_check_does_not_tell_how_often_a_number_was_called(
    insider: Client, call: CallRequest, poketalk: Callable[..., None]
) -> None:
    poketalk(CALLS_PER_HOUR_PER_CALLEE=9, CALLS_PER_HOUR_PER_CALLER_PHONE=9, CALLS_PER_HOUR=9)
    seeing = person()
    Phone.objects.create(user=get_user_model().objects.latest("pk"), number=MY_PHONE)

    assert "Calls to this number" not in page(check(insider))
    assert "Calls to your phone" not in page(check(insider))
    assert "Calls in the last hour (all users)" in page(check(insider))
    assert "Calls to this number in the last hour 9 1 8" in text(page(check(seeing)))


def test_reasons_of_the_blacklist_mask_numbers_to_the_caller(insider: Client) -> None:
    BlacklistedNumber.objects.create(number=CALLEE, reason=f"See {SOMEBODY}, asked us to stop")
    anna = get_user_model().objects.get()
    order: Any = {"from_number": MY_PHONE, "to_number": CALLEE}

    html = page(check(insider))
    with pytest.raises(CallRefused) as refused:
        requesting.request_call(**order, user=anna)
    with pytest.raises(CallRefused) as by_python:
        requesting.request_call(**order)

    assert "asked us to stop" in html
    for said in (html, str(refused.value)):
        assert "0777" not in said.replace(" ", "")
    assert SOMEBODY in str(by_python.value)


def test_a_call_back_after_nobody_s_call_does_not_tell_its_number(insider: Client) -> None:
    """It would belong to the person who asks for it, and show the number to call."""
    call = connected(requesting.request_call(from_number=CALLER, to_number=CALLEE))
    path = f"/poketalk/{call.pk}/wrap-up/"
    at = timezone.localtime() + timedelta(days=1)
    sent = {"note": "Asks for a call.", "follow_up_at": f"{at:%Y-%m-%dT%H:%M}"}

    body = {"follow_up_at": f"{at:%Y-%m-%dT%H:%MZ}"}
    by_api = insider.put(f"/poketalk/api/calls/{call.pk}/wrap-up/", body, "application/json")
    html = page(insider.post(path, sent, follow=True))

    assert "You are not allowed to see the numbers" in page(by_api, 403)
    assert "Asks for a call." in html
    assert "Call back at" not in html
    assert not CallBack.objects.exists()
    assert not contains_number(page(insider.get("/poketalk/my-calls/?show=due")))
    boss = person()
    assert boss.post(path, sent).status_code == 302
    assert contains_number(page(boss.get("/poketalk/my-calls/?show=due")))


@pytest.mark.parametrize("kind", ["place", "preview", "bulk"])
def test_checks_in_the_admin_are_throttled_for_each_user_with_those_of_the_api(
    kind: str, insider: Client, settings: Any
) -> None:
    throttled(settings, poketalk_quote="2/min")
    other = person("view_numbers")
    path, form = {
        "place": (f"{CALLS}place/", {"to_number": CALLEE, "_check": "x"}),
        "preview": (f"{ADMIN}/blacklistednumber/add/", {"number": CALLEE, "_preview": "x"}),
        "bulk": (BULK_ADD, {"lines": CALLEE, "direction": "to", "_check": "x"}),
    }[kind]

    assert post(insider, QUOTE, {"to_number": CALLEE}).status_code == 200
    page(insider.post(path, form))
    refused = insider.post(path, form)

    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.content == b"Too many requests. Try again in a minute."
    page(other.post(path, form))


def test_calls_from_the_admin_are_throttled_too(insider: Client, settings: Any) -> None:
    throttled(settings, poketalk_place="1/min")
    form = {"to_number": CALLEE, "_call": "x"}

    insider.post(f"{CALLS}place/", form)

    assert insider.post(f"{CALLS}place/", form).status_code == 429


def test_without_a_rate_checks_are_not_throttled(settings: Any) -> None:
    throttled(settings, poketalk_quote=None)
    anna = logged_in(someone("anna", "place_call", is_staff=True))
    for _ in range(70):
        page(check(anna))
