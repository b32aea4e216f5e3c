"""Requesting calls: the stored row, idempotency, refusals, and hanging up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils import timezone

from django_poketalk.calls import placing, requesting
from django_poketalk.exceptions import CallRefused, IdempotencyConflict
from django_poketalk.models import BlacklistedNumber, CallRequest, Placement

from ..conftest import CALLEE, CALLER

NewCall = Callable[..., CallRequest]
Change = Callable[..., None]


def test_a_request_is_queued_with_the_limits_of_the_settings(
    new_call: NewCall, poketalk: Change
) -> None:
    poketalk(MAX_DURATION=600, MAX_COST=Decimal("1.5"), PLACE_WITHIN=90)

    call = CallRequest.objects.get(pk=new_call().pk)

    assert (call.from_number, call.to_number) == (CALLER, CALLEE)
    assert call.placement == Placement.QUEUED
    assert call.status is None
    assert (call.max_duration, call.max_cost) == (600, Decimal("1.5"))
    assert call.expires_at - call.not_before == timedelta(seconds=90)
    assert len(call.webcallid) == 32


def test_each_request_has_its_own_call_id(new_call: NewCall) -> None:
    assert len({new_call().webcallid for _ in range(20)}) == 20


@pytest.mark.parametrize("written", ["+44 20 7946 0123", "442079460123", "+44 (0)20 7946-0123"])
def test_numbers_can_have_any_format(new_call: NewCall, written: str) -> None:
    assert new_call(to_number=written).to_number == "+442079460123"


def test_national_numbers_are_in_the_default_region(new_call: NewCall, poketalk: Change) -> None:
    poketalk(DEFAULT_REGION="GB")

    assert new_call(to_number="020 7946 0123").to_number == "+442079460123"


@pytest.mark.parametrize("number", ["abc", "12", "+442079460123456789", "020 7946 0123"])
def test_an_invalid_number_is_refused_and_named(new_call: NewCall, number: str) -> None:
    with pytest.raises(CallRefused) as refusal:
        new_call(to_number=number)

    assert (refusal.value.code, refusal.value.field) == ("number_invalid", "to_number")
    assert f"“{number}”" in str(refusal.value)


def test_the_same_number_for_both_phones_is_refused(new_call: NewCall) -> None:
    with pytest.raises(CallRefused, match="same number"):
        new_call(to_number=CALLER)


def test_a_limit_can_be_lowered_but_not_raised(new_call: NewCall, poketalk: Change) -> None:
    poketalk(MAX_DURATION=600, MAX_COST=Decimal(2))

    lower = new_call(max_duration=60, max_cost=Decimal(1))
    higher = new_call(max_duration=6000, max_cost=Decimal(3))

    assert (lower.max_duration, lower.max_cost) == (60, Decimal(1))
    assert (higher.max_duration, higher.max_cost) == (600, Decimal(2))


def test_a_call_that_would_expire_before_it_starts_is_refused(new_call: NewCall) -> None:
    now, tomorrow = timezone.now(), timezone.now() + timedelta(days=1)

    for starts, ends in ((None, now - timedelta(seconds=1)), (tomorrow, tomorrow)):
        with pytest.raises(CallRefused) as refusal:
            new_call(not_before=starts, expires_at=ends)
        assert refusal.value.code == "expired"


def test_the_subject_is_stored(new_call: NewCall, user: Any) -> None:
    call = new_call(subject=user, user=user)

    assert CallRequest.objects.get(pk=call.pk).subject == user
    assert call.subject_type == ContentType.objects.get_for_model(user)


@pytest.mark.django_db(transaction=True)
def test_the_worker_is_woken_on_commit(new_call: NewCall, woken: list[tuple[int, float]]) -> None:
    with transaction.atomic():
        call = new_call()
        assert woken == []

    assert woken == [(call.pk, 0)]


@pytest.mark.django_db(transaction=True)
def test_no_worker_is_woken_after_a_rollback(
    new_call: NewCall, woken: list[tuple[int, float]]
) -> None:
    def fail() -> None:
        with transaction.atomic():
            new_call()
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert woken == []
    assert not CallRequest.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_scheduled_call_is_left_to_the_sweep(
    new_call: NewCall, woken: list[tuple[int, float]]
) -> None:
    call = new_call(not_before=timezone.now() + timedelta(minutes=5))
    assert woken == []

    placing.sweep(timezone.now() + timedelta(minutes=5, seconds=6))

    assert woken == [(call.pk, 0)]


class TestIdempotency:
    def test_the_same_key_returns_the_same_call(self, new_call: NewCall, user: Any) -> None:
        first = new_call(user=user, idempotency_key="click")
        again = new_call(user=user, idempotency_key="click")

        assert again.pk == first.pk
        assert (first.repeated, again.repeated) == (False, True)
        assert CallRequest.objects.count() == 1

    def test_also_if_the_first_call_used_up_the_limit(
        self, new_call: NewCall, user: Any, poketalk: Change
    ) -> None:
        poketalk(LIVE_CALLS_PER_USER=1)
        first = new_call(user=user, idempotency_key="click")

        assert new_call(user=user, idempotency_key="click").pk == first.pk

    def test_also_if_the_call_has_expired(self, new_call: NewCall, user: Any) -> None:
        soon = timezone.now() + timedelta(minutes=1)
        first = new_call(user=user, idempotency_key="click", expires_at=soon)

        with time_machine.travel(soon + timedelta(minutes=1), tick=False):
            again = new_call(user=user, idempotency_key="click", expires_at=soon)

        assert again.pk == first.pk

    def test_the_same_key_for_another_number_is_a_conflict(
        self, new_call: NewCall, user: Any
    ) -> None:
        new_call(user=user, idempotency_key="click")

        with pytest.raises(IdempotencyConflict, match="to_number"):
            new_call(user=user, idempotency_key="click", to_number="+442079460124")

    def test_keys_are_separate_for_each_user(
        self, new_call: NewCall, user: Any, django_user_model: Any
    ) -> None:
        other = django_user_model.objects.create_user("ben")

        first = new_call(user=user, idempotency_key="click")

        assert new_call(user=other, idempotency_key="click").pk != first.pk


class TestQuote:
    ORDER: requesting.Order = {"from_number": "020 7946 0000", "to_number": CALLEE}

    def test_a_quote_has_the_call_and_places_none(
        self, user: Any, poketalk: Change, woken: list[Any]
    ) -> None:
        poketalk(DEFAULT_REGION="GB", MAX_DURATION=600)

        quoted = requesting.quote(**self.ORDER, user=user, max_duration=900).call

        assert (quoted.from_number, quoted.to_number) == (CALLER, CALLEE)
        assert (quoted.max_duration, quoted.pk) == (600, None)
        assert not CallRequest.objects.exists()
        assert woken == []

    @pytest.mark.parametrize(
        ("order", "code"),
        [
            ({"from_number": "none"}, "number_invalid"),
            ({"from_number": CALLEE}, "same_number"),
            ({"max_duration": 0}, "limit_invalid"),
            ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "expired"),
        ],
    )
    def test_a_quote_has_the_refusals_of_a_call(
        self, db: None, poketalk: Change, order: Any, code: str
    ) -> None:
        poketalk(DEFAULT_REGION="GB")
        changed = {**self.ORDER, **order}

        with pytest.raises(CallRefused) as refusal:
            requesting.request_call(**changed)
        assert refusal.value.code == code
        try:
            refusals = requesting.quote(**changed).refusals
        except CallRefused as error:
            refusals = (error,)
        assert [each.code for each in refusals] == [code]


class TestBlacklist:
    @pytest.mark.parametrize(
        ("entry", "refused"),
        [
            ({"number": CALLEE, "direction": "to"}, True),
            ({"number": CALLEE, "direction": "both"}, True),
            ({"number": CALLEE, "direction": "from"}, False),
            ({"number": CALLER, "direction": "from"}, True),
            ({"number": CALLER, "direction": "to"}, False),
            ({"number": "+4420", "is_prefix": True, "direction": "to"}, True),
            ({"number": "+4420", "is_prefix": False, "direction": "to"}, False),
            ({"number": "+4421", "is_prefix": True, "direction": "to"}, False),
        ],
    )
    def test_an_entry_applies_in_its_direction(
        self, new_call: NewCall, entry: dict[str, Any], refused: bool
    ) -> None:
        BlacklistedNumber.objects.create(reason="Asked not to be called.", **entry)

        if refused:
            with pytest.raises(CallRefused, match="Asked not to be called") as refusal:
                new_call()
            assert refusal.value.code == "blacklisted"
        else:
            assert new_call().pk

    def test_an_entry_expires(self, new_call: NewCall) -> None:
        BlacklistedNumber.objects.create(number=CALLEE, until=timezone.now() - timedelta(seconds=1))

        assert new_call().pk

    def test_numbers_are_stored_as_e164(self, db: None) -> None:
        entry = BlacklistedNumber(number="44 20 7946 0123")
        prefix = BlacklistedNumber(number="44 20", is_prefix=True)

        entry.full_clean()
        prefix.full_clean()

        assert (entry.number, prefix.number) == ("+442079460123", "+4420")


class TestDestinations:
    @pytest.mark.parametrize(
        ("number", "code"),
        [
            ("+870773111632", "satellite"),
            ("+8816123456789", "satellite"),
            ("+449098790123", "premium"),
        ],
    )
    def test_premium_and_satellite_numbers_are_refused(
        self, new_call: NewCall, number: str, code: str
    ) -> None:
        with pytest.raises(CallRefused) as refusal:
            new_call(to_number=number)

        assert refusal.value.code == code

    def test_the_project_can_allow_them(self, new_call: NewCall, poketalk: Change) -> None:
        poketalk(ALLOW_SATELLITE=True, ALLOW_PREMIUM=True)

        assert new_call(to_number="+870773111632").pk
        assert new_call(to_number="+449098790123").pk

    def test_other_countries_are_refused_on_either_leg(
        self, new_call: NewCall, poketalk: Change
    ) -> None:
        poketalk(ALLOWED_COUNTRIES=["GB"])

        assert new_call().pk
        with pytest.raises(CallRefused) as refusal:
            new_call(to_number="+4930231251234")
        assert (refusal.value.code, refusal.value.field) == ("country_not_allowed", "to_number")
        with pytest.raises(CallRefused) as refusal:
            new_call(from_number="+4930231251234")
        assert refusal.value.field == "from_number"

    def test_a_prefix_is_allowed_beside_the_countries(
        self, new_call: NewCall, poketalk: Change
    ) -> None:
        for written in ("+4930", "4930"):
            poketalk(ALLOWED_COUNTRIES=["GB"], ALLOWED_PREFIXES=[written])

            assert new_call(to_number="+4930231251234").pk

    def test_prefixes_alone_refuse_all_others(self, new_call: NewCall, poketalk: Change) -> None:
        poketalk(ALLOWED_PREFIXES=["+4420"])

        assert new_call().pk
        with pytest.raises(CallRefused) as refusal:
            new_call(to_number="+4930231251234")
        assert refusal.value.code == "prefix_not_allowed"


class TestCaps:
    @pytest.mark.parametrize(
        "cap",
        [
            "LIVE_CALLS_PER_USER",
            "CALLS_PER_HOUR_PER_USER",
            "CALLS_PER_HOUR_PER_CALLEE",
            "LIVE_CALLS",
            "CALLS_PER_HOUR",
        ],
    )
    def test_a_call_above_the_cap_is_refused(
        self, new_call: NewCall, poketalk: Change, user: Any, cap: str
    ) -> None:
        poketalk(**{cap: 2})
        new_call(user=user)
        new_call(user=user)

        with pytest.raises(CallRefused) as refusal:
            new_call(user=user)

        assert refusal.value.code == cap.lower()

    @pytest.mark.parametrize("cap", ["LIVE_CALLS_PER_USER", "CALLS_PER_HOUR_PER_USER"])
    def test_a_users_cap_does_not_affect_others(
        self, new_call: NewCall, poketalk: Change, user: Any, django_user_model: Any, cap: str
    ) -> None:
        poketalk(**{cap: 1})
        new_call(user=user)

        assert new_call(user=django_user_model.objects.create_user("ben")).pk

    def test_an_ended_call_is_not_live(
        self, new_call: NewCall, poketalk: Change, user: Any
    ) -> None:
        poketalk(LIVE_CALLS_PER_USER=1)
        requesting.hang_up(new_call(user=user))

        assert new_call(user=user).pk

    @pytest.mark.parametrize("cap", ["SPEND_PER_DAY", "SPEND_PER_DAY_PER_USER"])
    def test_a_call_above_the_budget_is_refused(
        self, new_call: NewCall, poketalk: Change, user: Any, cap: str
    ) -> None:
        poketalk(**{cap: Decimal("1.00")})
        CallRequest.objects.filter(pk=new_call(user=user).pk).update(cost=Decimal("0.999"))
        CallRequest.objects.filter(pk=new_call(user=user).pk).update(cost=Decimal("0.001"))

        with pytest.raises(CallRefused) as refusal:
            new_call(user=user)

        assert refusal.value.code == cap.lower()


class TestHangUp:
    def test_a_waiting_call_is_canceled(self, call: CallRequest, user: Any) -> None:
        assert requesting.hang_up(call, user)

        call.refresh_from_db()
        assert call.placement == Placement.CANCELLED
        assert call.hangup_requested_by == user
        assert not call.is_open

    def test_a_sent_call_is_hung_up(self, call: CallRequest, user: Any) -> None:
        call.begin_sending(timezone.now())
        call.accept(timezone.now(), "00")

        assert requesting.hang_up(call, user)

        call.refresh_from_db()
        assert call.placement == Placement.ACCEPTED
        assert call.hangup_requested_at is not None

    def test_a_second_hang_up_changes_nothing(self, call: CallRequest, user: Any) -> None:
        call.begin_sending(timezone.now())
        requesting.hang_up(call, user)
        requested = CallRequest.objects.get(pk=call.pk).hangup_requested_at

        assert not requesting.hang_up(call)

        assert CallRequest.objects.get(pk=call.pk).hangup_requested_at == requested

    def test_an_ended_call_cannot_be_hung_up(self, call: CallRequest) -> None:
        CallRequest.objects.filter(pk=call.pk).update(
            placement=Placement.ACCEPTED, ended_at=timezone.now()
        )

        assert not requesting.hang_up(call)
