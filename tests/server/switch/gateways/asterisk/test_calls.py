"""Calls through Asterisk, from the queued row to the end: the phones and the rows.

Calls run at the same time where possible, to save time.
"""

from __future__ import annotations

from typing import Any

import pytest

from django_poketalk.server.models import Call, Gateway, TestCall
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from tests.server.switch.conftest import Service, ended, eventually, number, serve
from tests.server.switch.customer import Customer
from tests.server.switch.processes import switch, talking, wait_for

from .channels import Phone
from .conftest import gateway
from .fake_asterisk import FakeAsterisk

pytestmark = pytest.mark.django_db(transaction=True)

STAYS = "99"

PHONES = {
    "01": Phone(rings=False, answers=None, fails=0.02, cause=17, tech_cause=486),
    "02": Phone(answers=None, fails=0.05, cause=19),
    "03": Phone(answers=None, fails=0.02, cause=21, tech_cause=603),
    "04": Phone(rings=False, answers=None, fails=0.02, cause=34),
    "05": Phone(rings=False, answers=None, fails=0.02, cause=1, tech_cause=404),
    "06": Phone(answers=None, fails=0.02, cause=21),
    "07": Phone(rings=False, answers=None, fails=0.02, cause=127),
    "10": Phone(talks=0.4),
    "11": Phone(talks=0.4, cause=38),
}
# Phones as leg A and as leg B: the statuses of the call, its cause, and the SIP status and Q.850
# cause of the leg that ended it.
TABLE = [
    ("A", "01", [1, 2], Cause.BUSY, (486, 17)),
    ("A", "02", [1, 2], Cause.NO_ANSWER, (0, 19)),
    ("A", "03", [1, 2], Cause.DECLINED, (603, 21)),
    ("A", "04", [1, 2], Cause.GATEWAY_DOWN, (0, 34)),
    ("A", "05", [1, 2], Cause.UNALLOCATED, (404, 1)),
    ("A", "06", [1, 2], Cause.REJECTED, (0, 21)),
    ("A", "07", [1, 2], Cause.REJECTED, (0, 127)),
    ("A", "10", [1, 3, 5, 7, 8], Cause.NORMAL, (0, 16)),
    ("B", "01", [1, 3, 5, 6], Cause.BUSY, (486, 17)),
    ("B", "02", [1, 3, 5, 6], Cause.NO_ANSWER, (0, 19)),
    ("B", "03", [1, 3, 5, 6], Cause.DECLINED, (603, 21)),
    ("B", "04", [1, 3, 5, 6], Cause.GATEWAY_DOWN, (0, 34)),
    ("B", "05", [1, 3, 5, 6], Cause.UNALLOCATED, (404, 1)),
    ("B", "10", [1, 3, 5, 7, 8], Cause.NORMAL, (0, 16)),
    ("B", "11", [1, 3, 5, 7, 8], Cause.NORMAL, (0, 38)),
]


def served(*calls: Call) -> list[Call]:
    serve(Engine("test"), until=ended(*calls))
    for call in calls:
        call.refresh_from_db()
    return list(calls)


def test_each_phone_produces_the_expected_outcome(service: Service, pbx: FakeAsterisk) -> None:
    pbx.phones = PHONES
    with Customer() as customer:
        calls = [
            service.queue(
                **{side.lower(): ending},
                custom=f"{side}{ending}",
                max_duration=100,
                eventurl=customer.eventurl,
            )
            for side, ending, *_ in TABLE
        ]
        served(*calls)

    seen = []
    for call, (side, ending, *_) in zip(calls, TABLE, strict=True):
        leg = call.legs.get(side=side)
        statuses = customer.statuses(call.custom)
        seen.append((side, ending, statuses, call.hangup_cause, (leg.sip_status, leg.q850)))
    assert seen == TABLE
    assert (pbx.channels, pbx.bridges) == ({}, {})
    assert len(pbx.bridged) == 3
    assert {channel.query["timeout"] for channel in pbx.all_channels.values()} == {"30"}


def test_a_call_past_its_limit_is_hung_up(service: Service, pbx: FakeAsterisk) -> None:
    [call] = served(service.queue(max_duration=1))

    assert (call.status, call.hangup_cause, call.duration) == (8, Cause.MAX_DURATION, 1)
    a, b = (call.legs.get(side=side) for side in Side)
    assert a.ringing_at <= a.answered_at <= b.ringing_at <= b.answered_at
    assert (a.dialog, b.dialog) == ("", "")  # they have ended
    assert list(pbx.hangup_causes.values()) == [16, 16]
    assert pbx.bridges == {}


def test_a_veto_hangs_up_both_phones(service: Service, pbx: FakeAsterisk) -> None:
    with Customer(vetoes=lambda event: event["status"] == "7") as customer:
        [call] = served(service.queue(eventurl=customer.eventurl))

    assert (call.status, call.hangup_cause) == (8, Cause.VETOED)
    assert pbx.channels == {}


def test_a_phone_rings_no_longer_than_the_ring_timeout(service: Service, pbx: FakeAsterisk) -> None:
    pbx.phones = {"02": Phone(answers=None)}
    Gateway.objects.update(ring_timeout=1)

    [call] = served(service.queue(a="02"))

    assert (call.status, call.hangup_cause) == (2, Cause.NO_ANSWER)
    [cause] = pbx.hangup_causes.values()
    assert cause in (19, 0)  # the timeout of the switch or that of Asterisk, whichever is first
    assert pbx.channels_to("02")[0].query["timeout"] == "1"


def test_leg_b_stops_ringing_when_leg_a_hangs_up(service: Service, pbx: FakeAsterisk) -> None:
    pbx.phones = {"10": Phone(talks=0.2), "02": Phone(answers=None)}

    [call] = served(service.queue(a="10", b="02"))

    assert (call.status, call.hangup_cause) == (4, Cause.NORMAL)
    assert pbx.channels == {}


def test_another_gateway_is_tried_when_the_gateway_fails(
    service: Service, pbx: FakeAsterisk
) -> None:
    """An unknown endpoint and a congested one; a busy phone is not tried again."""
    pbx.phones = PHONES
    Gateway.objects.update(priority=5)
    gateway(service.provider, pbx, endpoint="PJSIP/{number}@nowhere", priority=1)
    gateway(service.provider, pbx, endpoint="PJSIP/9{number}@trunk", priority=9)
    calls = service.queue(a="04", max_duration=1), service.queue(a="01", max_duration=1)

    congested, busy = served(*calls)

    legs = congested.legs.filter(side="A").order_by("attempt")
    assert [leg.hangup_cause for leg in legs] == [Cause.GATEWAY_DOWN] * 3
    assert busy.legs.filter(side="A").count() == 2
    assert (busy.status, busy.hangup_cause) == (2, Cause.BUSY)


@pytest.mark.parametrize("why", ["no WebSocket", "wrong password", "no Asterisk"])
def test_calls_use_another_gateway_while_asterisk_is_down(
    service: Service, pbx: FakeAsterisk, why: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    if why == "no WebSocket":
        pbx.accepts_websockets = False
    elif why == "wrong password":
        monkeypatch.setenv("ARI_PASSWORD", "not this one")
    else:
        Gateway.objects.update(ari_url="http://127.0.0.1:9")
    simulated = Gateway.objects.create(
        provider=service.provider, name="Phones", kind="simulated", priority=20
    )

    [call] = served(service.queue(a="01"))  # busy, as a simulated phone

    assert (call.status, call.hangup_cause) == (2, Cause.BUSY)
    first, second = call.legs.order_by("attempt")
    assert (first.hangup_cause, second.gateway) == (Cause.GATEWAY_DOWN, simulated)
    assert pbx.all_channels == {}
    assert "not this one" not in caplog.text
    if why == "wrong password":
        assert "HTTP 401: wrong user name or password" in caplog.text


def test_a_hang_up_during_a_gap_of_the_websocket_ends_the_call(
    service: Service, pbx: FakeAsterisk
) -> None:
    call = service.queue(max_duration=100)

    async def disconnect() -> None:
        await eventually(talking(call))
        pbx.drop_websockets()
        pbx.hang_up(pbx.channels_to(STAYS)[0])  # without an event
        await eventually(lambda: bool(pbx.sockets))

    serve(Engine("test"), until=ended(call), during=disconnect)

    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (8, Cause.GATEWAY_DOWN)
    assert (pbx.channels, pbx.bridges) == ({}, {})


def test_a_test_call_uses_the_gateway(service: Service, pbx: FakeAsterisk) -> None:
    pbx.phones = {"01": PHONES["01"]}
    test_call = TestCall.objects.create(gateway=service.gateway, number=number("01"))

    serve(Engine("test"), until=lambda: TestCall.objects.filter(state="ended").exists())

    test_call.refresh_from_db()
    assert (test_call.hangup_cause, test_call.sip_status, test_call.q850) == (Cause.BUSY, 486, 17)
    assert "callerId" not in pbx.channels_to("01")[0].query


def test_the_next_switch_hangs_up_the_phones_of_a_killed_one(
    service: Service, pbx: FakeAsterisk
) -> None:
    pbx.phones = {"02": Phone(answers=None)}
    Gateway.objects.update(ring_timeout=60)
    talks, rings = service.queue(), service.queue(b="02")
    with switch(speed=1) as process:
        wait_for(talking(talks))
        wait_for(
            lambda: Call.objects.filter(pk=rings.pk, status=5).exists() and pbx.channels_to("02")
        )
        process.kill()
        process.wait()
    assert len(pbx.channels) == 4

    served(talks, rings)

    assert (pbx.channels, pbx.bridges) == ({}, {})
    assert (talks.status, talks.hangup_cause) == (8, Cause.SWITCH_LOST)
    assert (rings.status, rings.hangup_cause) == (4, Cause.SWITCH_LOST)
