"""The phone that rings first: a cap for each number, internal numbers, and the user's choice."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.calls import placing, redialing, requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import BlacklistedNumber, CallRequest, Phone, Placement

from ..api.rest_client import CALLS, client, post
from ..conftest import CALLEE, CALLER
from ..people import agent, contact, hidden, logged_in, page, someone, token

PLACE = "/poketalk/place/"
MOBILE = "+442079460555"
STRANGER = "+442079460999"
INTERNAL = {"INTERNAL_NUMBERS": "1[0-9]{3}", "SERVICE_EXTENSIONS": ["internal_numbers"]}

pytestmark = pytest.mark.django_db


def refusal(**order: Any) -> str:
    with pytest.raises(CallRefused) as caught:
        requesting.request_call(**order)
    assert caught.value.sentence
    return caught.value.code


def codes(**order: Any) -> list[str]:
    return [refused.code for refused in requesting.quote(**order).refusals]


# The cap for each number as the caller's phone


def test_a_stranger_is_not_rung_as_a_users_own_phone_again_and_again(poketalk: Any) -> None:
    poketalk(CALLS_PER_HOUR_PER_CALLER_PHONE=3)
    eve, cem = someone("eve"), someone("cem")
    requesting.request_call(from_number=CALLER, to_number=STRANGER, user=cem)
    for last in range(2):
        requesting.request_call(from_number=STRANGER, to_number=f"+44207946070{last}", user=eve)

    order = {"from_number": STRANGER, "to_number": CALLEE}
    assert refusal(**order, user=eve) == "calls_per_hour_per_caller_phone"
    assert refusal(**order, user=cem) == "calls_per_hour_per_caller_phone"
    assert refusal(**order) == "calls_per_hour_per_caller_phone"
    CallRequest.objects.update(rings_at=timezone.now() - timezone.timedelta(hours=1))
    requesting.request_call(**order, user=eve)


def test_the_cap_is_thirty_calls_by_default(settings: Any) -> None:
    settings.POKETALK = {
        key: value
        for key, value in settings.POKETALK.items()
        if key != "CALLS_PER_HOUR_PER_CALLER_PHONE"
    }
    quote = requesting.quote(from_number=CALLER, to_number=CALLEE)

    [cap] = [cap for cap in quote.caps if cap.name == "calls_per_hour_per_caller_phone"]
    assert cap.limit == 30


def by_button(user: Any) -> bool:
    order = {"token": token(user, contact=contact())}
    return logged_in(user).post(PLACE, order).status_code == 302


def by_menu(user: Any) -> bool:
    order = {"token": token(user, contact=contact()), "phone": CALLER}
    return logged_in(user).post(PLACE, order).status_code == 302


def by_api(user: Any) -> bool:
    return post(client(user), CALLS, {"to_number": CALLEE}).status_code == 201


def by_admin(user: Any) -> bool:
    pages = logged_in(user)
    path = "/admin/poketalk/callrequest/place/"
    form = {"to_number": CALLEE, "from_number": CALLER}
    order = hidden(page(pages.get(path)), "order")
    return pages.post(path, {**form, "order": order, "_call": "x"}).status_code == 302


def by_python(user: Any) -> bool:
    return bool(requesting.request_call(from_number=CALLER, to_number=CALLEE, user=user).pk)


def by_redial(user: Any) -> bool:
    return bool(redialing.call_again(CallRequest.objects.earliest("pk"), user).pk)


def end_all_calls() -> None:
    CallRequest.objects.update(placement=Placement.ACCEPTED, ended_at=timezone.now())


@pytest.mark.parametrize("verified_at", [None, "2026-01-01T00:00Z"])
@pytest.mark.parametrize("place", [by_button, by_menu, by_api, by_admin, by_python, by_redial])
def test_the_cap_applies_to_each_way_to_call_from_a_verified_phone_too(
    place: Any, verified_at: str | None, poketalk: Any
) -> None:
    poketalk(
        CALLS_PER_HOUR_PER_CALLER_PHONE=2,
        LIVE_CALLS_PER_USER=None,
        VERIFY_PHONES="staff" if verified_at else None,
    )
    user = agent("rep", "view_callrequest", "view_numbers")
    user.is_staff = True
    user.save()
    Phone.objects.update(verified_at=verified_at)
    requesting.request_call(from_number=CALLER, to_number=CALLEE, user=someone("eve"))
    end_all_calls()

    assert place(user)
    end_all_calls()
    try:
        assert not place(user)
    except CallRefused as refused:
        assert refused.code == "calls_per_hour_per_caller_phone"  # noqa: PT017
    assert CallRequest.objects.count() == 2


# Internal numbers


def test_an_internal_number_is_sent_as_its_digits(poketalk: Any, outbox: Any) -> None:
    poketalk(**INTERNAL)
    call = requesting.request_call(from_number=" 1001", to_number=CALLEE)
    placing.place(call.pk)

    assert CallRequest.objects.get().from_number == "1001"
    assert [order.from_number for order in outbox] == ["1001"]


@pytest.fixture
def outbox() -> Any:
    from django_poketalk.backends import locmem

    return locmem.outbox


def test_without_the_services_support_an_internal_number_is_refused(poketalk: Any) -> None:
    poketalk(INTERNAL_NUMBERS="1[0-9]{3}")

    assert refusal(from_number="1001", to_number=CALLEE) == "internal_numbers"


@pytest.mark.parametrize("number", ["2001", "10011", "100", "112", "x1001"])
def test_other_short_numbers_are_no_phones(number: str, poketalk: Any) -> None:
    poketalk(**INTERNAL)

    assert refusal(from_number=number, to_number=CALLEE) == "number_invalid"


def test_emergency_numbers_are_no_phones_whatever_the_pattern(poketalk: Any) -> None:
    poketalk(**{**INTERNAL, "INTERNAL_NUMBERS": "[0-9]+"})

    for number in ("000", "112", "911", "999"):
        assert refusal(from_number=number, to_number=CALLEE) == "number_invalid"
    assert codes(from_number="913", to_number=CALLEE) == []


def test_emergency_numbers_of_the_default_region_are_no_phones(poketalk: Any) -> None:
    poketalk(**{**INTERNAL, "INTERNAL_NUMBERS": "[0-9]+"})
    assert codes(from_number="110", to_number=CALLEE) == []
    poketalk(DEFAULT_REGION="DE")

    assert refusal(from_number="110", to_number=CALLEE) == "number_invalid"
    assert codes(from_number="115", to_number=CALLEE) == []


def test_an_internal_number_cannot_be_called(poketalk: Any) -> None:
    poketalk(**INTERNAL)

    assert refusal(from_number=CALLER, to_number="1001") == "number_invalid"


def test_an_internal_number_is_not_judged_as_an_international_one(poketalk: Any) -> None:
    poketalk(**INTERNAL, ALLOWED_COUNTRIES=["GB"], CALLS_PER_HOUR_PER_CALLER_PHONE=1)
    for number in ("+100", "+1", "1001"):
        BlacklistedNumber.objects.create(number=number, is_prefix=True)

    quote = requesting.quote(from_number="1001", to_number=CALLEE)

    assert (quote.refusals, quote.caller.country, quote.caller.blacklisted) == ((), None, None)
    requesting.request_call(from_number="1001", to_number=CALLEE)
    assert codes(from_number="1001", to_number=CALLEE) == ["calls_per_hour_per_caller_phone"]


# The choice at the press


@pytest.fixture
def anna() -> Any:
    anna = agent()
    Phone.objects.create(user=anna, number=MOBILE, label="Mobile")
    return anna


def test_the_button_rings_the_default_phone_or_the_chosen_one(anna: Any) -> None:
    client = logged_in(anna)
    for choice, number in (({}, CALLER), ({"phone": MOBILE}, MOBILE), ({"phone": ""}, CALLER)):
        page(client.post(PLACE, {"token": token(anna, contact=contact()), **choice}), 302)
        assert CallRequest.objects.latest("pk").from_number == number


@pytest.mark.parametrize("permissions", [(), ("choose_caller_phone",)])
@pytest.mark.parametrize("forged", [STRANGER, "442079460555", "x", "\x00", "1001"])
def test_a_press_carries_only_one_of_the_users_own_phones(
    forged: str, permissions: tuple[str, ...]
) -> None:
    eve = agent("eve", *permissions)
    Phone.objects.create(user=someone("bob"), number=STRANGER)
    order = {"token": token(eve, contact=contact()), "phone": forged}

    html = page(logged_in(eve).post(PLACE, order), 422)

    assert "This is not one of your own phones." in html
    assert not CallRequest.objects.exists()


def test_an_unverified_phone_cannot_be_chosen(anna: Any, poketalk: Any) -> None:
    poketalk(VERIFY_PHONES="staff")
    Phone.objects.get(number=CALLER).verify(timezone.now())
    signed = token(anna, contact=contact())

    assert 'value="+442079460555"' not in page_of(anna)
    page(logged_in(anna).post(PLACE, {"token": signed, "phone": MOBILE}), 422)
    page(logged_in(anna).post(PLACE, {"token": signed}), 302)


def page_of(user: Any) -> str:
    from ..people import render

    return render('call_button contact field="phone"', user, contact=contact())
