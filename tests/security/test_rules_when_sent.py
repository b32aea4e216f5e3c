"""What forbids a call is checked when it is requested, and again when it is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.utils import timezone

from django_poketalk.backends import locmem
from django_poketalk.calls import orders, placing, redialing, requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import BlacklistedNumber, CallRequest, Phone, Placement
from django_poketalk.presentation import call_status
from tests.caller.conftest import CALLEE, CALLER
from tests.caller.people import agent, contact, logged_in, page

pytestmark = pytest.mark.django_db
Change = Callable[..., None]
NOW = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
TOMORROW = NOW + timedelta(days=1)
UNANSWERED = "+442079460999"


@pytest.fixture(autouse=True)
def _today() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def anna() -> Any:
    return agent()


def scheduled(user: Any, **order: Any) -> CallRequest:
    """A call of this user for tomorrow, about a contact."""
    bob = contact()
    return orders.place(
        {"to_number": CALLEE, "subject": bob, "not_before": TOMORROW, **order}, user, None
    )


def placed_tomorrow(call: CallRequest) -> CallRequest:
    """The call after the worker has handled it at its time."""
    with time_machine.travel(TOMORROW, tick=False):
        placing.place(call.pk)
    call.refresh_from_db()
    return call


def test_a_scheduled_call_is_sent_when_it_is_due(anna: Any) -> None:
    call = scheduled(anna)

    placing.place(call.pk)
    assert locmem.outbox == []

    assert placed_tomorrow(call).placement == Placement.ACCEPTED
    assert call.rings_at == TOMORROW


def _blacklist(anna: Any, poketalk: Change) -> None:
    BlacklistedNumber.objects.create(number=CALLEE, reason="asked not to be called")


def _disable(anna: Any, poketalk: Change) -> None:
    get_user_model().objects.filter(pk=anna.pk).update(is_active=False)


def _change_phone(anna: Any, poketalk: Change) -> None:
    Phone.objects.update(number="+442079460555")


def _unverify_phone(anna: Any, poketalk: Change) -> None:
    poketalk(VERIFY_PHONES="staff")


def _strip(anna: Any, poketalk: Change) -> None:
    anna.user_permissions.filter(codename="place_call").delete()


def _hide(anna: Any, poketalk: Change) -> None:
    anna.user_permissions.filter(codename="view_contact").delete()


def _delete_user(anna: Any, poketalk: Change) -> None:
    anna.delete()


def _delete_contact(anna: Any, poketalk: Change) -> None:
    CallRequest.objects.get().subject.delete()


def _close_country(anna: Any, poketalk: Change) -> None:
    poketalk(ALLOWED_COUNTRIES=["DE"])


def _quiet(anna: Any, poketalk: Change) -> None:
    poketalk(QUIET_HOURS=("08:00", "10:00"))


def _spend(anna: Any, poketalk: Change) -> None:
    poketalk(SPEND_PER_DAY_PER_USER=1)
    with time_machine.travel(TOMORROW, tick=False):
        spent = requesting.request_call(from_number=CALLER, to_number="+442079460500", user=anna)
        CallRequest.objects.filter(pk=spent.pk).update(
            cost=2, placement=Placement.ACCEPTED, ended_at=timezone.now()
        )


def _consent(anna: Any, poketalk: Change) -> None:
    poketalk(CALL_RULES=("tests.security.rules.broken",))


@pytest.mark.parametrize(
    "change",
    [
        _blacklist,
        _disable,
        _strip,
        _hide,
        _delete_user,
        _delete_contact,
        _close_country,
        _quiet,
        _spend,
        _consent,
        _change_phone,
        _unverify_phone,
    ],
)
def test_a_scheduled_call_that_is_no_longer_allowed_is_not_sent(
    change: Callable[[Any, Change], None], anna: Any, poketalk: Change
) -> None:
    call = scheduled(anna)
    change(anna, poketalk)

    placed_tomorrow(call)

    assert call.placement == Placement.FORBIDDEN
    assert call.response_detail
    assert not call.is_open
    assert locmem.outbox == []


def test_a_call_is_not_scheduled_from_the_phone_of_somebody_else(anna: Any) -> None:
    order: Any = {"from_number": UNANSWERED, "to_number": CALLEE, "not_before": TOMORROW}
    quote = requesting.quote(**order, user=anna, requires_permission=True)
    assert [refusal.code for refusal in quote.refusals] == ["phone_not_yours"]
    with pytest.raises(CallRefused) as refused:
        requesting.request_call(**order, user=anna, requires_permission=True)
    assert refused.value.field == "from_number"

    requesting.request_call(**order, user=anna)  # whom the project itself lets call
    boss = agent("boss", "choose_caller_phone")
    call = requesting.request_call(**order, user=boss, requires_permission=True)

    assert placed_tomorrow(call).placement == Placement.ACCEPTED


def test_the_owner_reads_why_the_call_was_not_sent(anna: Any, poketalk: Change) -> None:
    call = scheduled(anna)
    _blacklist(anna, poketalk)

    placed_tomorrow(call)

    assert "asked not to be called" in page(logged_in(anna).get(f"/poketalk/{call.pk}/"))
    assert redialing.never_rang(call)


def test_a_call_is_checked_again_though_it_waited_only_for_a_worker(
    anna: Any, poketalk: Change
) -> None:
    call = orders.place({"to_number": CALLEE}, anna, None)
    _blacklist(anna, poketalk)

    placing.place(call.pk)

    call.refresh_from_db()
    assert call.placement == Placement.FORBIDDEN
    assert locmem.outbox == []


def test_a_call_from_python_needs_no_permission(db: None) -> None:
    eve = get_user_model().objects.create_user("eve")
    call = requesting.request_call(from_number=CALLER, to_number=CALLEE, user=eve)

    placing.place(call.pk)

    assert len(locmem.outbox) == 1


def test_a_call_from_python_that_requires_permission_is_refused_without_it(db: None) -> None:
    eve = get_user_model().objects.create_user("eve")

    with pytest.raises(CallRefused) as refused:
        requesting.request_call(
            from_number=CALLER, to_number=CALLEE, user=eve, requires_permission=True
        )

    assert refused.value.code == "not_allowed"


def test_calls_to_one_number_cannot_be_scheduled_for_the_same_minute(
    anna: Any, poketalk: Change
) -> None:
    poketalk(CALLS_PER_HOUR_PER_CALLEE=3)
    for minute in range(3):
        later = TOMORROW + timedelta(minutes=minute)
        requesting.request_call(from_number=CALLER, to_number=CALLEE, not_before=later)

    with pytest.raises(CallRefused) as refused:
        requesting.request_call(
            from_number=CALLER, to_number=CALLEE, not_before=TOMORROW + timedelta(minutes=30)
        )

    assert refused.value.code == "calls_per_hour_per_callee"
    assert requesting.request_call(from_number=CALLER, to_number=CALLEE)
    assert requesting.request_call(
        from_number=CALLER, to_number=CALLEE, not_before=TOMORROW + timedelta(minutes=63)
    )


def test_the_cap_also_holds_if_the_later_call_was_scheduled_first(poketalk: Change) -> None:
    poketalk(CALLS_PER_HOUR_PER_CALLEE=1)
    later = TOMORROW + timedelta(minutes=30)
    second = requesting.request_call(from_number=CALLER, to_number=CALLEE, not_before=later)
    first = requesting.request_call(from_number=CALLER, to_number=CALLEE, not_before=TOMORROW)

    placed_tomorrow(first)
    with time_machine.travel(later, tick=False):
        placing.place(second.pk)

    second.refresh_from_db()
    assert (first.placement, second.placement) == (Placement.ACCEPTED, Placement.FORBIDDEN)


def test_an_earlier_call_does_not_count_in_the_hour_of_a_scheduled_one(poketalk: Change) -> None:
    poketalk(CALLS_PER_HOUR_PER_CALLEE=1)
    requesting.request_call(from_number=CALLER, to_number=CALLEE)

    assert requesting.request_call(from_number=CALLER, to_number=CALLEE, not_before=TOMORROW)


def test_a_canceled_call_does_not_count(anna: Any, poketalk: Change) -> None:
    poketalk(CALLS_PER_HOUR_PER_CALLEE=1)
    requesting.cancel(requesting.request_call(from_number=CALLER, to_number=CALLEE))

    assert requesting.request_call(from_number=CALLER, to_number=CALLEE)


def test_a_scheduled_call_is_no_call_in_progress(anna: Any, poketalk: Change) -> None:
    poketalk(LIVE_CALLS_PER_USER=1)
    scheduled(anna)

    assert scheduled(anna).pk
    assert orders.place({"to_number": CALLEE}, anna, None).pk
    with pytest.raises(CallRefused) as refused:
        orders.place({"to_number": CALLEE}, anna, None)
    assert refused.value.code == "live_calls_per_user"


def test_a_scheduled_call_waits_while_its_user_has_another(anna: Any, poketalk: Change) -> None:
    poketalk(LIVE_CALLS_PER_USER=1)
    call = scheduled(anna)
    with time_machine.travel(TOMORROW - timedelta(minutes=5), tick=False):
        other = orders.place({"to_number": UNANSWERED}, anna, None)
        placing.place(other.pk)

    placed_tomorrow(call)

    assert call.placement == Placement.QUEUED
    with time_machine.travel(TOMORROW, tick=False):
        assert "You already have a call in progress." in call_status.sentence(call)
    CallRequest.objects.filter(pk=other.pk).update(ended_at=TOMORROW)
    assert placed_tomorrow(call).placement == Placement.ACCEPTED


def test_a_scheduled_call_says_when_it_will_be_placed(anna: Any) -> None:
    call = scheduled(anna)

    client = logged_in(anna)
    text = page(client.get(f"/poketalk/{call.pk}/"))
    status = client.get(f"/poketalk/{call.pk}/status/", headers={"Accept": "application/json"})

    assert status.json()["sentence"] == "Your phone will ring on 03/03/2026 09:00 UTC."
    assert "Your phone will ring on 03/03/2026 09:00 UTC." in text
    assert "when the call is due." in text
    boss = get_user_model().objects.create_superuser("boss")
    admin = page(logged_in(boss).get(f"/admin/poketalk/callrequest/{call.pk}/change/"))
    assert "Your phone will ring on 03/03/2026 09:00 UTC." in admin


def test_a_rule_of_the_project_refuses_a_call_with_its_reason(anna: Any, poketalk: Change) -> None:
    poketalk(CALL_RULES=("tests.security.rules.no_consent",))
    order: Any = {"to_number": UNANSWERED}

    with pytest.raises(CallRefused) as refused:
        orders.place(order, anna, None)

    assert refused.value.code == "call_rule"
    assert str(refused.value) == "This person does not want to be called."
    assert [each.code for each in orders.quote(order, anna).refusals] == ["call_rule"]
    assert orders.place({"to_number": CALLEE}, anna, None).pk


def test_a_rule_that_fails_refuses_the_call(anna: Any, poketalk: Change, caplog: Any) -> None:
    poketalk(CALL_RULES=("tests.security.rules.broken",))

    with pytest.raises(CallRefused) as refused:
        orders.place({"to_number": CALLEE}, anna, None)

    assert refused.value.code == "call_rule"
    assert "consents" not in str(refused.value)
    assert "LookupError" in caplog.text


def test_a_rule_that_does_not_exist_refuses_every_call(anna: Any, poketalk: Change) -> None:
    poketalk(CALL_RULES=("tests.security.rules.missing",))

    with pytest.raises(CallRefused):
        orders.place({"to_number": CALLEE}, anna, None)


def test_a_phone_that_rang_for_a_scheduled_call_counts_then(poketalk: Change) -> None:
    poketalk(CALLS_PER_HOUR_PER_CALLER_PHONE=1)
    Phone.objects.all().delete()
    requesting.request_call(from_number=CALLER, to_number=CALLEE, not_before=TOMORROW)

    assert requesting.request_call(from_number=CALLER, to_number=CALLEE)
    with pytest.raises(CallRefused):
        requesting.request_call(from_number=CALLER, to_number=UNANSWERED, not_before=TOMORROW)
