"""What a gateway's row says of an Asterisk, and what comes of it there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.server.models import Gateway, ServiceProvider
from django_poketalk.server.routing.trunk import ANONYMOUS, AsteriskTrunk
from django_poketalk.server.switch.gateways.asterisk import causes, connection, names
from django_poketalk.server.switch.gateways.asterisk.connection import Address
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.gateways.trunks import Limits
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Failed, Route, Side
from django_poketalk.server.switch.ownership import plan

from . import ari
from .ari import Ari, asterisk
from .conftest import gateway
from .desk import CALLER, NUMBER, A, B, Desk, at, until

REFUSED = Failed(Side.A, 1, Cause.GATEWAY_DOWN, transport=True)


# The row


@pytest.mark.django_db
def test_a_row_leads_to_its_asterisk(pbx: Ari) -> None:
    provider = ServiceProvider.objects.create(name="Carrier")
    row = gateway(provider, pbx, caller_id="fixed", caller_number="4420", strip_digits=2)

    trunk = plan.route(row).trunk

    assert trunk == AsteriskTrunk(
        url=pbx.url,
        application="poketalk",
        endpoint="PJSIP/{number}@trunk",
        username=ari.USER,
        password=ari.PASSWORD,
        caller_id="4420",
        strip=2,
    )
    assert ari.PASSWORD not in repr(trunk)
    assert ari.PASSWORD not in str(vars(row))


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
def test_a_row_that_no_call_could_go_through_is_refused(pbx: Ari, field: str, value: str) -> None:
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
def test_a_row_that_may_be_right_is_taken(pbx: Ari, field: str, value: str) -> None:
    provider = ServiceProvider.objects.create(name="Carrier")

    assert gateway(provider, pbx, **{field: value}).pk


@pytest.mark.django_db
def test_simulated_phones_need_nothing_of_it() -> None:
    provider = ServiceProvider.objects.create(name="Carrier")
    row = Gateway(provider=provider, name="Phones", kind="simulated", caller_id="fixed")
    row.full_clean()
    assert row.trunk is None


# Numbers


@pytest.mark.parametrize(
    ("trunk", "endpoint", "shown"),
    [
        ({}, f"PJSIP/{NUMBER}99@trunk", CALLER),
        ({"strip": 2, "add": "+44"}, f"PJSIP/+44{NUMBER[2:]}99@trunk", CALLER),
        ({"add": "*31#"}, f"PJSIP/*31#{NUMBER}99@trunk", CALLER),
        ({"caller_id": "442079460000"}, f"PJSIP/{NUMBER}99@trunk", "442079460000"),
        ({"caller_id": ANONYMOUS}, f"PJSIP/{NUMBER}99@trunk", '"Anonymous" <anonymous>'),
    ],
)
def test_numbers_are_written_as_the_trunk_wants_them(
    pbx: Ari, trunk: dict[str, Any], endpoint: str, shown: str
) -> None:
    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=2)

    at(pbx, script, **trunk)

    [query] = pbx.asked("POST", "channels")
    assert (query["endpoint"], query["callerId"]) == (endpoint, shown)


@given(st.text(max_size=20) | st.text("0123456789+*#&@;/,{}\n ", max_size=12))
def test_nothing_but_a_number_gets_into_an_endpoint(number: str) -> None:
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
def test_what_is_no_number_is_not_even_asked_for(pbx: Ari, number: str) -> None:
    async def script(desk: Desk) -> None:
        await desk.listen()
        with pytest.raises(ValueError, match="no number"):
            desk.gateway.originate(A, number, CALLER, desk.route)

    assert at(pbx, script) == []
    assert pbx.asked("POST", "channels") == []


# The way there


@pytest.mark.parametrize(("prefix", "tail"), [("", ""), ("", "/"), ("/pbx", ""), ("/pbx", "/ari/")])
def test_asterisk_may_be_under_a_prefix(pbx: Ari, prefix: str, tail: str) -> None:
    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=2)

    with asterisk(prefix=prefix) as other:
        at(other, script, url=f"{other.url}{tail}")


def test_one_websocket_is_enough_for_all_gateways_and_tells_what_is_needed(pbx: Ari) -> None:
    async def script(desk: Desk) -> None:
        desk.gateway.watch([desk.route, Route(2, "asterisk", 30, desk.trunk)])
        desk.ring(A)
        desk.ring(LegKey(CallKey(18, 1), Side.A, 1), add="9", caller_id="1")
        await desk.told(of=4)
        assert pbx.filters == {desk.app: set(connection.EVENTS)}

    at(pbx, script)

    assert pbx.handshakes == 1


def test_an_asterisk_that_no_gateway_names_any_more_is_let_go_of(pbx: Ari) -> None:
    async def script(desk: Desk) -> None:
        await desk.listen()
        desk.ring(A)
        await desk.told(of=2)
        desk.gateway.watch([])
        await asyncio.sleep(0.1)
        assert pbx.sockets  # not while it has a call
        assert pbx.channels
        desk.hang_up(A)
        await until(lambda: not pbx.channels)
        for _ in range(3):  # the DELETE's answer is perhaps still on its way
            desk.gateway.watch([])
        await until(lambda: desk.gateway.watch([]) or not pbx.sockets)
        await desk.listen()

    at(pbx, script)


def test_an_older_asterisk_without_filters_is_good_enough(pbx: Ari) -> None:
    pbx.answers = {("PUT", "applications"): 404}

    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=2)

    at(pbx, script)


def test_the_address_keeps_its_password_to_itself() -> None:
    address = Address("http://pbx.example.com/ari", "poketalk", "secret", "poketalk")
    assert "secret" not in repr(address)
    assert address.root == "http://pbx.example.com/ari"


# Limits


def test_a_trunk_is_given_no_more_than_it_can_bear(pbx: Ari) -> None:
    others = [LegKey(CallKey(pk, 1), Side.A, 1) for pk in range(2)]

    async def script(desk: Desk) -> None:
        desk.ring(others[0], max_channels=1)
        await desk.told(of=2)
        desk.ring(A, max_channels=1)
        assert (await desk.told(of=3))[2] == REFUSED
        desk.hang_up(others[0])
        desk.ring(A, max_channels=1, calls_per_second=1)
        await desk.told(of=5)
        desk.ring(others[1], calls_per_second=1)
        assert (await desk.told(of=6))[5] == REFUSED

    at(pbx, script)

    assert len(pbx.made) == 2


def test_b_is_not_rung_where_it_could_not_be_connected(pbx: Ari) -> None:
    refused = Failed(Side.B, 1, Cause.GATEWAY_DOWN, transport=True)

    async def script(desk: Desk) -> None:
        desk.ring(B)
        assert await desk.told(of=1) == [refused]  # A is nowhere
        desk.ring(A)
        await desk.told(of=3)
        with asterisk() as other:
            desk.ring(B, url=other.url)
            assert (await desk.told(of=4))[3] == refused
            assert not other.made
        assert len(pbx.made) == 1

    at(pbx, script)


def test_limits_forget_legs_that_are_over() -> None:
    limits, trunk = Limits(), AsteriskTrunk(url="", application="", endpoint="", max_channels=1)
    route = Route(1, "asterisk", 30, trunk)
    assert limits.admit(A, route, trunk, 0.0) == ""
    assert limits.admit(B, route, trunk, 0.0) != ""
    assert (A in limits, limits.release(A), limits.release(A), A in limits) == (
        True,
        True,
        False,
        False,
    )
    assert limits.admit(B, route, trunk, 0.0) == ""


# Names and causes

legs = st.builds(
    LegKey,
    st.builds(CallKey, st.integers(-(10**6), 10**12), st.integers(0, 10**6)),
    st.sampled_from(Side),
    st.integers(1, 99),
)


@given(legs, legs)
def test_no_two_legs_have_the_same_channel(one: LegKey, other: LegKey) -> None:
    first, second = (names.channel("poketalk-0a", leg) for leg in (one, other))
    assert (first == second) == (one == other)
    assert names.are_of_one_call(first, second) == (one.call == other.call)
    assert names.is_of("poketalk-0a", first)
    assert not names.is_of("poketalk-0b", first)
    assert not names.is_of("poketalk", first)
    assert not names.is_of("poketalk-0a", f"{first};2")
    assert names.bridge_beside(first) == names.bridge("poketalk-0a", one.call)


@pytest.mark.parametrize("q850", [27, 34, 38, 41, 42, 44, 47, 102])
def test_these_causes_let_another_gateway_be_tried(q850: int) -> None:
    assert (causes.cause_of(q850), causes.is_transport(q850)) == (Cause.GATEWAY_DOWN, True)


@pytest.mark.parametrize("q850", [0, 1, 16, 17, 18, 19, 20, 21, 28, 127])
def test_these_do_not(q850: int) -> None:
    assert not causes.is_transport(q850)
