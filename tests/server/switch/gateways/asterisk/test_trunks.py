"""The settings of a gateway to Asterisk, and their effects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.server.models import Gateway, ServiceProvider
from django_poketalk.server.routing.trunk import ANONYMOUS, AsteriskTrunk
from django_poketalk.server.switch.gateways.asterisk import channel_ids, connection
from django_poketalk.server.switch.gateways.asterisk.connection import Address
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.gateways.trunks import Limits
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Failed, Route, Side
from django_poketalk.server.switch.ownership import catalog

from .conftest import gateway
from .fake_asterisk import asterisk
from .fake_switch import CALLER, NUMBER, A, B, FakeSwitch, Pbx, run, until

REFUSED = Failed(Side.A, 1, Cause.GATEWAY_DOWN, transport=True)


# The row


@pytest.mark.django_db
def test_a_gateway_row_becomes_a_trunk(pbx: Pbx) -> None:
    provider = ServiceProvider.objects.create(name="Carrier")
    row = gateway(provider, pbx, caller_id="fixed", caller_number="4420", strip_digits=2)

    trunk = catalog.route(row).trunk

    assert trunk == AsteriskTrunk(
        url=pbx.url,
        application="poketalk",
        endpoint="PJSIP/{number}@trunk",
        username=pbx.user,
        password=pbx.password,
        caller_id="4420",
        strip=2,
    )
    assert pbx.password not in repr(trunk)
    assert pbx.password not in str(vars(row))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ari_url", ""),
        ("ari_url", "pbx.example.com"),
        ("ari_url", "ftp://pbx.example.com"),
        ("ari_url", "http://"),
        ("ari_url", "http://pbx.example.com:x"),
        ("ari_url", "http://pbx.example.com:99999"),
        ("ari_url", "http://user:secret@pbx.example.com"),
        ("ari_url", "http://pbx.example.com/?api_key=a:b"),
        ("ari_url", "http://pbx.example.com/#x"),
        ("ari_url", "http://pbx.example.com/a b"),
        ("username", ""),
        ("endpoint", ""),
        ("endpoint", "PJSIP/trunk"),
        ("endpoint", "{number}@trunk"),
        ("endpoint", "PJSIP/{number}@{number}"),
        ("endpoint", "PJSIP/{number}@trunk&PJSIP/1"),
        ("endpoint", "PJSIP/{number} @trunk"),
        ("endpoint", "PJSIP/{number}@trunk\n"),
        ("application", ""),
        ("application", "poke.talk"),
        ("application", "a,b"),
        ("password_variable", "not a name"),
    ],
)
def test_an_invalid_gateway_row_is_refused(pbx: Pbx, field: str, value: str) -> None:
    provider = ServiceProvider.objects.create(name="Carrier")

    with pytest.raises(ValidationError) as refusal:
        gateway(provider, pbx, **{field: value})

    assert list(refusal.value.message_dict) == [field]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ari_url", "http://asterisk:8088"),
        ("ari_url", "https://pbx.example.com/asterisk/"),
        ("ari_url", "http://[::1]:8088/ari"),
        ("endpoint", "PJSIP/trunk/sip:{number}@10.0.0.1:5060"),
        ("endpoint", "Local/{number}@from-internal/n"),
        ("endpoint", "PJSIP/{number}"),
        ("endpoint", "DAHDI/g1/{number}"),
    ],
)
def test_a_valid_gateway_row_is_accepted(pbx: Pbx, field: str, value: str) -> None:
    provider = ServiceProvider.objects.create(name="Carrier")

    assert gateway(provider, pbx, **{field: value}).pk


@pytest.mark.django_db
def test_a_simulated_gateway_needs_no_asterisk_fields() -> None:
    provider = ServiceProvider.objects.create(name="Carrier")
    row = Gateway(provider=provider, name="Phones", kind="simulated", caller_id="fixed")
    row.full_clean()
    assert row.trunk is None


# Numbers


@pytest.mark.parametrize(
    ("trunk", "endpoint", "caller_id"),
    [
        ({}, f"PJSIP/{NUMBER}99@trunk", CALLER),
        ({"strip": 2, "add": "+44"}, f"PJSIP/+44{NUMBER[2:]}99@trunk", f"+{CALLER}"),
        ({"add": "*31#"}, f"PJSIP/*31#{NUMBER}99@trunk", CALLER),
        ({"caller_id": "442079460000"}, f"PJSIP/{NUMBER}99@trunk", "442079460000"),
        ({"caller_id": ANONYMOUS}, f"PJSIP/{NUMBER}99@trunk", '"Anonymous" <anonymous>'),
    ],
)
def test_numbers_are_formatted_for_the_trunk(
    pbx: Pbx, trunk: dict[str, Any], endpoint: str, caller_id: str
) -> None:
    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)

    run(pbx, script, **trunk)

    [query] = pbx.requests_to("POST", "channels")
    assert (query["endpoint"], query["callerId"]) == (endpoint, caller_id)


@pytest.mark.parametrize(
    ("trunk", "caller_id"),
    [
        ({}, '"Anonymous" <anonymous>'),
        ({"fallback": "442079460000"}, '"442079460000" <442079460000>'),
        ({"presented": "442079460000", "add": "+"}, '"+442079460000" <+442079460000>'),
        ({"is_internal": True}, '"1001" <1001>'),
    ],
)
def test_neither_number_nor_name_of_an_extension_leaves_its_pbx(
    pbx: Pbx, trunk: dict[str, Any], caller_id: str
) -> None:
    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, caller="1001")
        await switch.wait_for_facts(2)

    run(pbx, script, **trunk)

    [query] = pbx.requests_to("POST", "channels")
    assert query["callerId"] == caller_id


@given(st.text(max_size=20) | st.text("0123456789+*#&@;/,{}\n ", max_size=12))
def test_an_endpoint_contains_only_a_number(number: str) -> None:
    trunk = AsteriskTrunk(url="", application="", endpoint="PJSIP/{number}@trunk")
    try:
        endpoint = trunk.endpoint_of(number)
    except ValueError:
        return
    inside = endpoint.removeprefix("PJSIP/").removesuffix("@trunk")
    assert inside == number
    assert inside.lstrip("+")
    assert set(inside) <= set("+0123456789*#")


@pytest.mark.parametrize(
    "number", ["", "1&PJSIP/2", "1@evil", "٣٤٥", "1/../2", "1\r\n", "{number}"]
)
def test_an_invalid_number_is_not_dialed(pbx: Pbx, number: str) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        with pytest.raises(ValueError, match="not a number to dial"):
            switch.gateway.originate(A, number, CALLER, switch.route)

    assert run(pbx, script) == []
    assert pbx.requests_to("POST", "channels") == []


# The connection


@pytest.mark.fake("the real one has no prefix")
@pytest.mark.parametrize(("prefix", "tail"), [("", ""), ("", "/"), ("/pbx", ""), ("/pbx", "/ari/")])
def test_asterisk_may_be_under_a_prefix(pbx: Pbx, prefix: str, tail: str) -> None:
    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)

    with asterisk(prefix=prefix) as other:
        run(other, script, url=f"{other.url}{tail}")


@pytest.mark.fake("only it knows the filter")
def test_all_gateways_share_one_websocket_with_a_filter(
    pbx: Pbx,
) -> None:
    async def script(switch: FakeSwitch) -> None:
        switch.gateway.watch([switch.route, Route(2, "asterisk", 30, switch.trunk)])
        switch.ring(A)
        switch.ring(LegKey(CallKey(18, 1), Side.A, 1), add="9", caller_id="1")
        await switch.wait_for_facts(4)
        assert pbx.filters == {switch.app: set(connection.EVENTS)}

    run(pbx, script)

    assert pbx.handshakes == 1


def test_an_asterisk_without_gateways_is_disconnected_after_its_last_call(
    pbx: Pbx,
) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        switch.ring(A)
        await switch.wait_for_facts(2)
        switch.gateway.watch([])
        await asyncio.sleep(0.1)
        assert pbx.sockets  # not while it has a call
        assert pbx.channels
        switch.hang_up(A)
        await until(lambda: not pbx.channels)
        for _ in range(3):  # the response to DELETE may not have arrived yet
            switch.gateway.watch([])
        await until(lambda: switch.gateway.watch([]) or not pbx.sockets)
        await switch.listen()

    run(pbx, script)


def test_an_older_asterisk_without_filters_works(pbx: Pbx) -> None:
    pbx.statuses = {("PUT", "applications"): 404}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)

    run(pbx, script)


def test_the_password_is_not_in_the_repr() -> None:
    address = Address("http://pbx.example.com/ari", "poketalk", "secret", "poketalk")
    assert "secret" not in repr(address)
    assert address.root == "http://pbx.example.com/ari"


# Limits


def test_the_rate_limit_of_a_trunk_is_enforced(pbx: Pbx) -> None:
    """The second leg waits for a second, the third would wait for too long."""
    second, third = (LegKey(CallKey(call, 1), Side.A, 1) for call in (1, 2))

    async def script(switch: FakeSwitch) -> None:
        for leg in (A, second, third):
            switch.ring(leg, calls_per_second=1)
        assert switch.gateway.dialog_of(second)
        assert REFUSED in await switch.wait_for_facts(3)
        assert len(pbx.all_channels) == 1
        await switch.wait_for_facts(5)
        assert len(pbx.all_channels) == 2

    run(pbx, script)


def test_a_leg_that_is_hung_up_while_it_waits_is_not_rung(pbx: Pbx) -> None:
    second = LegKey(CallKey(1, 1), Side.A, 1)

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, calls_per_second=1)
        switch.ring(second, calls_per_second=1)
        switch.hang_up(second)
        await asyncio.sleep(1.2)  # longer than it would have waited
        assert len(pbx.all_channels) == 1

    run(pbx, script)


def test_leg_b_is_not_rung_through_another_asterisk_than_leg_a(pbx: Pbx) -> None:
    refused = Failed(Side.B, 1, Cause.GATEWAY_DOWN, transport=True)

    async def script(switch: FakeSwitch) -> None:
        switch.ring(B)
        assert await switch.wait_for_facts(1) == [refused]  # there is no leg A
        switch.ring(A)
        await switch.wait_for_facts(3)
        with asterisk() as other:
            switch.ring(B, url=other.url)
            assert (await switch.wait_for_facts(4))[3] == refused
            assert not other.all_channels
        assert len(pbx.all_channels) == 1

    run(pbx, script)


def test_limits_forget_ended_legs() -> None:
    limits, trunk = Limits(), AsteriskTrunk(url="", application="", endpoint="")
    route = Route(1, "asterisk", 30, trunk)
    assert limits.admit(A, route, trunk, 0.0) == 0.0
    assert (A in limits, limits.release(A), limits.release(A), A in limits) == (
        True,
        True,
        False,
        False,
    )


def test_legs_are_originated_in_order_and_leg_b_waits_longer() -> None:
    trunk = AsteriskTrunk(url="", application="", endpoint="", calls_per_second=2)
    limits, route = Limits(), Route(1, "asterisk", 30, trunk)

    def admit(side: Side, now: float) -> float | None:
        return limits.admit(LegKey(CallKey(1, 1), side, 1), route, trunk, now)

    assert [admit(Side.A, 0.0) for _ in range(5)] == [0.0, 0.0, 1.0, 1.0, None]
    assert [admit(Side.B, 0.5) for _ in range(9)] == [2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0, None]
    assert [admit(Side.A, now) for now in (4.5, 5.0, 6.0)] == [None, 6.0, 6.0]


# Names and causes

legs = st.builds(
    LegKey,
    st.builds(CallKey, st.integers(-(10**6), 10**12), st.integers(0, 10**6)),
    st.sampled_from(Side),
    st.integers(1, 99),
)


@given(legs, legs)
def test_no_two_legs_have_the_same_channel(one: LegKey, other: LegKey) -> None:
    first, second = (channel_ids.channel_id("poketalk-0a", leg) for leg in (one, other))
    assert (first == second) == (one == other)
    assert channel_ids.same_call(first, second) == (one.call == other.call)
    assert channel_ids.is_channel_of("poketalk-0a", first)
    assert not channel_ids.is_channel_of("poketalk-0b", first)
    assert not channel_ids.is_channel_of("poketalk", first)
    assert not channel_ids.is_channel_of("poketalk-0a", f"{first};2")
    assert channel_ids.bridge_of(first) == channel_ids.bridge_id("poketalk-0a", one.call)
