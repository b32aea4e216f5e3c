"""Calls through Asterisk, from the queued row to the end: the phones and the rows.

Calls run at the same time where possible, to save time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_poketalk.server.database.clock import database_now
from django_poketalk.server.models import Call, Gateway, Leg, Switch, TestCall
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from tests.server.switch.conftest import Service, ended, eventually, number, serve
from tests.server.switch.customer import Customer
from tests.server.switch.processes import switch, talking, wait_for

from .channels import Phone
from .conftest import gateway
from .fake_switch import Pbx
from .real_asterisk import RealAsterisk

pytestmark = pytest.mark.django_db(transaction=True)

STAYS = "99"
RING_TIMEOUT = 30  # seconds, of every gateway

PHONES = {
    "01": Phone(rings=False, answers=None, fails=0.02, status=486),
    "02": Phone(answers=None, fails=0.05, status=480),
    "03": Phone(answers=None, fails=0.02, status=603),
    "04": Phone(rings=False, answers=None, fails=0.02, status=503),
    "05": Phone(rings=False, answers=None, fails=0.02, status=404),
    "06": Phone(rings=False, answers=None, fails=0.02, status=403),
    "07": Phone(rings=False, answers=None, fails=0.02, status=405),
    "10": Phone(talks=0.4),
}
# Phones as leg A and as leg B: the statuses of the call, its cause, and the SIP status and Q.850
# cause of the leg that ended it.
TABLE = [
    ("A", "01", [1, 2], Cause.BUSY, (486, 17)),
    ("A", "02", [1, 2], Cause.NO_ANSWER, (480, 19)),
    ("A", "03", [1, 2], Cause.DECLINED, (603, 21)),
    ("A", "04", [1, 2], Cause.GATEWAY_DOWN, (503, 34)),
    ("A", "05", [1, 2], Cause.UNALLOCATED, (404, 1)),
    ("A", "06", [1, 2], Cause.REJECTED, (403, 21)),
    ("A", "07", [1, 2], Cause.REJECTED, (405, 127)),
    ("A", "10", [1, 3, 5, 7, 8], Cause.NORMAL, (0, 16)),
    ("B", "01", [1, 3, 5, 6], Cause.BUSY, (486, 17)),
    ("B", "02", [1, 3, 5, 6], Cause.NO_ANSWER, (480, 19)),
    ("B", "03", [1, 3, 5, 6], Cause.DECLINED, (603, 21)),
    ("B", "04", [1, 3, 5, 6], Cause.GATEWAY_DOWN, (503, 34)),
    ("B", "05", [1, 3, 5, 6], Cause.UNALLOCATED, (404, 1)),
    ("B", "10", [1, 3, 5, 7, 8], Cause.NORMAL, (0, 16)),
]

# Behind a dialplan, and behind an Asterisk that does not send the SIP status.
OLD_PHONES = {
    "01": Phone(rings=False, answers=None, fails=0.02, cause=17),
    "06": Phone(rings=False, answers=None, fails=0.02, cause=21),
    "07": Phone(rings=False, answers=None, fails=0.02, cause=127),
    "08": Phone(rings=False, answers=None, fails=0.02, cause=0, dial_status="BUSY"),
    "09": Phone(answers=None, fails=0.02, cause=0, dial_status="CONGESTION"),
    "11": Phone(talks=0.4, cause=38),
}
OLD_TABLE = [
    ("A", "01", [1, 2], Cause.BUSY, (0, 17)),
    ("A", "06", [1, 2], Cause.REJECTED, (0, 21)),
    ("A", "07", [1, 2], Cause.REJECTED, (0, 127)),
    ("A", "08", [1, 2], Cause.BUSY, (0, 17)),
    ("A", "09", [1, 2], Cause.REJECTED, (0, 34)),
    ("B", "11", [1, 3, 5, 7, 8], Cause.NORMAL, (0, 38)),
]


def served(*calls: Call) -> list[Call]:
    serve(Engine("test"), until=ended(*calls))
    for call in calls:
        call.refresh_from_db()
    return list(calls)


def outcomes(service: Service, table: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Serve a call for each row of the table. Return the table as it is in truth."""
    with Customer() as customer:
        calls = [
            service.queue(
                **{side.lower(): ending},
                custom=f"{side}{ending}",
                max_duration=100,
                eventurl=customer.eventurl,
            )
            for side, ending, *_ in table
        ]
        served(*calls)

    seen = []
    for call, (side, ending, *_) in zip(calls, table, strict=True):
        leg = call.legs.get(side=side)
        statuses = customer.statuses(call.custom)
        seen.append((side, ending, statuses, call.hangup_cause, (leg.sip_status, leg.q850)))
    return seen


def test_each_phone_produces_the_expected_outcome(service: Service, pbx: Pbx) -> None:
    pbx.phones = PHONES

    assert outcomes(service, TABLE) == TABLE

    wait_for(lambda: (pbx.channels, pbx.bridges) == ({}, {}))
    assert len(set(pbx.bridged)) == 2
    queries = pbx.requests_to("POST", "channels")
    assert {query["timeout"] for query in queries} == {"30"}


@pytest.mark.fake("the real one sends SIP statuses, and no cause after an answer but 16")
def test_without_a_sip_status_the_q850_cause_and_the_dialplan_decide(
    service: Service, pbx: Pbx
) -> None:
    pbx.phones = OLD_PHONES

    assert outcomes(service, OLD_TABLE) == OLD_TABLE


def test_a_call_past_its_limit_is_hung_up(service: Service, pbx: Pbx) -> None:
    [call] = served(service.queue(max_duration=1))

    assert (call.status, call.hangup_cause, call.duration) == (8, Cause.MAX_DURATION, 1)
    a, b = (call.legs.get(side=side) for side in Side)
    assert a.ringing_at <= a.answered_at <= b.ringing_at <= b.answered_at
    assert (a.dialog, b.dialog) == ("", "")  # they have ended
    assert list(pbx.hangup_causes.values()) == [16, 16]
    wait_for(lambda: not pbx.bridges)


def test_a_veto_hangs_up_both_phones(service: Service, pbx: Pbx) -> None:
    with Customer(vetoes=lambda event: event["status"] == "7") as customer:
        [call] = served(service.queue(eventurl=customer.eventurl))

    assert (call.status, call.hangup_cause) == (8, Cause.VETOED)
    wait_for(lambda: not pbx.channels)


def test_a_phone_rings_no_longer_than_the_ring_timeout(service: Service, pbx: Pbx) -> None:
    pbx.phones = {"02": Phone(answers=None)}
    Gateway.objects.update(ring_timeout=1)

    [call] = served(service.queue(a="02"))

    assert (call.status, call.hangup_cause) == (2, Cause.NO_ANSWER)
    [cause] = pbx.hangup_causes.values()
    assert cause == 19  # the timeout of the switch or that of Asterisk, whichever is first
    assert pbx.channels_to("02")[0].query["timeout"] == "1"


def test_leg_b_stops_ringing_when_leg_a_hangs_up(service: Service, pbx: Pbx) -> None:
    pbx.phones = {"10": Phone(talks=0.2), "02": Phone(answers=None)}

    [call] = served(service.queue(a="10", b="02"))

    assert (call.status, call.hangup_cause) == (4, Cause.NORMAL)
    wait_for(lambda: not pbx.channels)


def test_another_gateway_is_tried_when_the_gateway_fails(service: Service, pbx: Pbx) -> None:
    """An unknown endpoint and a congested one; a busy phone is not tried again."""
    pbx.phones = PHONES
    Gateway.objects.update(priority=5)
    gateway(service.provider, pbx, endpoint="PJSIP/{number}@nowhere", priority=1)
    gateway(service.provider, pbx, endpoint="PJSIP/9{number}@trunk", priority=9)
    calls = service.queue(a="04", max_duration=1), service.queue(a="01", max_duration=1)

    congested, busy = served(*calls)

    legs = congested.legs.filter(side="A").order_by("attempt")
    causes = [leg.hangup_cause for leg in legs]
    assert causes == [Cause.UNREACHABLE, Cause.GATEWAY_DOWN, Cause.GATEWAY_DOWN]
    assert busy.legs.filter(side="A").count() == 2
    assert (busy.status, busy.hangup_cause) == (2, Cause.BUSY)


def test_another_gateway_is_tried_when_no_phone_rings(service: Service, pbx: Pbx) -> None:
    pbx.phones = {"98": Phone(rings=False, answers=None)}
    is_real = isinstance(pbx, RealAsterisk)
    dead = "PJSIP/{number}@deadtrunk" if is_real else "PJSIP/{number}98@trunk"
    Gateway.objects.update(priority=1, progress_timeout=1, endpoint=dead)
    gateway(service.provider, pbx, priority=5)

    [call] = served(service.queue(max_duration=4))

    assert call.hangup_cause == Cause.MAX_DURATION
    for side in Side:
        first, second = call.legs.filter(side=side).order_by("attempt")
        assert (first.hangup_cause, first.ringing_at) == (Cause.GATEWAY_DOWN, None)
        assert second.answered_at
        waited = second.initiated_at - first.initiated_at
        assert timedelta(seconds=1) <= waited < timedelta(seconds=RING_TIMEOUT)


@pytest.mark.parametrize(
    ("codes", "tries"), [("404", {"05": 2, "04": 1}), ("", {"05": 1, "04": 2})]
)
def test_the_failover_codes_decide_after_a_sip_response(
    service: Service, pbx: Pbx, codes: str, tries: dict[str, int]
) -> None:
    pbx.phones = PHONES
    Gateway.objects.update(priority=1, failover_codes=codes)
    gateway(service.provider, pbx, priority=5)

    calls = served(*[service.queue(a=phone) for phone in tries])

    made = [call.legs.filter(side="A").count() for call in calls]
    assert made == list(tries.values())


@pytest.mark.parametrize("why", ["no WebSocket", "wrong password", "no Asterisk"])
def test_calls_use_another_gateway_while_asterisk_is_down(
    service: Service, pbx: Pbx, why: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    if why == "no WebSocket":
        pbx.accepts_websockets = False
    elif why == "wrong password":
        monkeypatch.setenv("POKETALK_GATEWAY_ARI", "not this one")
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


def test_a_hang_up_during_a_gap_of_the_websocket_ends_the_call(service: Service, pbx: Pbx) -> None:
    call = service.queue(max_duration=100)

    async def disconnect() -> None:
        await eventually(talking(call))
        pbx.drop_websockets()
        pbx.hang_up(pbx.channels_to(STAYS)[0])  # without an event
        await eventually(lambda: bool(pbx.sockets))

    serve(Engine("test"), until=ended(call), during=disconnect)

    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (8, Cause.GATEWAY_DOWN)
    wait_for(lambda: (pbx.channels, pbx.bridges) == ({}, {}))


def test_a_test_call_uses_the_gateway(service: Service, pbx: Pbx) -> None:
    pbx.phones = {"01": PHONES["01"]}
    test_call = TestCall.objects.create(gateway=service.gateway, number=number("01"))

    serve(Engine("test"), until=lambda: TestCall.objects.filter(state="ended").exists())

    test_call.refresh_from_db()
    assert (test_call.hangup_cause, test_call.sip_status, test_call.q850) == (Cause.BUSY, 486, 17)
    assert "callerId" not in pbx.channels_to("01")[0].query


def test_the_next_switch_hangs_up_the_phones_of_a_killed_one(service: Service, pbx: Pbx) -> None:
    pbx.phones = {"02": Phone(answers=None)}
    Gateway.objects.update(ring_timeout=60)
    talks, rings_b, rings_a = service.queue(), service.queue(b="02"), service.queue(a="02")
    with switch(speed=1) as process:
        wait_for(talking(talks))
        wait_for(lambda: Call.objects.filter(pk=rings_b.pk, status=5).exists())
        wait_for(lambda: Leg.objects.filter(number=number("02")).exclude(dialog="").count() == 2)
        wait_for(lambda: len(pbx.channels_to("02")) == 2)
        process.kill()
        process.wait()
    assert len(pbx.channels) == 5

    served(talks, rings_b, rings_a)

    wait_for(lambda: (pbx.channels, pbx.bridges) == ({}, {}))
    assert (talks.status, talks.hangup_cause) == (8, Cause.SWITCH_LOST)
    assert (rings_b.status, rings_b.hangup_cause) == (4, Cause.SWITCH_LOST)
    assert (rings_a.status, rings_a.hangup_cause) == (2, Cause.SWITCH_LOST)


def test_the_next_switch_hangs_up_the_test_call_of_a_killed_one(service: Service, pbx: Pbx) -> None:
    pbx.phones = {"02": Phone(answers=None)}
    Gateway.objects.update(ring_timeout=60)
    test_call = TestCall.objects.create(gateway=service.gateway, number=number("02"))
    with switch(speed=1) as process:
        wait_for(TestCall.objects.exclude(dialog="").filter(ringing_at__isnull=False).exists)
        process.kill()
        process.wait()
    assert len(pbx.channels) == 1
    long_ago = database_now() - timedelta(minutes=1)
    Switch.objects.update(seen_at=long_ago)
    TestCall.objects.update(begun_at=long_ago)

    serve(Engine("next"), until=lambda: not pbx.channels)

    test_call.refresh_from_db()
    assert (test_call.hangup_cause, test_call.dialog) == (Cause.SWITCH_LOST, "")
