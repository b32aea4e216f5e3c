"""Calls that a rule refuses: the blacklist, the destinations and the caps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.calls import requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import BlacklistedNumber, CallRequest

from ..conftest import CALLEE, CALLER

NewCall = Callable[..., CallRequest]
Change = Callable[..., None]


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
