"""Changes of calls are written to rows, one by one or in batches."""

from __future__ import annotations

import asyncio
import random
from dataclasses import astuple, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.models import Account, Call, EventDelivery, LedgerEntry, Leg
from django_poketalk.server.switch.calls import store
from django_poketalk.server.switch.calls.changes import Change, LegRow
from django_poketalk.server.switch.calls.store import LostCall
from django_poketalk.server.switch.calls.write_queue import WriteQueue
from django_poketalk.server.switch.database_threads import DatabaseThreads
from django_poketalk.server.switch.delivery.sender import Delivery
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Finish, Side
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import claims
from django_poketalk.server.switch.ownership.plan import ClaimedCall

from ..conftest import Service

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now().replace(microsecond=123456)
NOT_COMPARED = ("id", "call_id", "created_at", "seen_at", "lease_until", "charged_at", "custom")


def leg(claimed: ClaimedCall, side: Side, **changes: Any) -> LegRow:
    values: dict[str, Any] = {
        "side": side,
        "attempt": 1,
        "gateway": claimed.plan.routes_a[0].gateway,
        "number": claimed.number(side),
        "tariff": claimed.plan.tariff(side),
        "initiated_at": NOW,
        "ringing_at": None,
        "answered_at": None,
        "ended_at": None,
        "cause": "",
        "duration": 0,
        "cost": Decimal(0),
    }
    return LegRow(**{**values, **changes})


def delivery(sequence: int, status: CallStatus) -> Delivery:
    event = Event(status, "web1", 5, Decimal("0.1"))
    return Delivery(sequence, event, NOW, 0.25, 200 if sequence % 2 else None, "")


def history(claimed: ClaimedCall, seed: int) -> list[Change]:
    """The changes of a call, up to a random point."""
    chance = random.Random(seed)
    key, account = claimed.key, claimed.account
    answered = NOW + timedelta(seconds=3)
    rung = leg(claimed, Side.A)
    up = leg(claimed, Side.A, answered_at=answered, dialog="<dialog>", cost=Decimal("0.01"))
    other = leg(claimed, Side.B)
    ended = leg(
        claimed, Side.A, answered_at=answered, ended_at=NOW, cause="normal", sip_status=200, q850=16
    )
    finish = Finish(CallStatus.A_DISCONNECTED, Cause.NORMAL, 9, Decimal("0.09"), Decimal(0))
    sent = (delivery(1, CallStatus.A_INITIATED), delivery(2, CallStatus.A_ANSWERED))
    has_eventurl = chance.random() < 0.5
    changes = [
        Change(key, account, CallStatus.A_INITIATED, new_legs=(rung,)),
        Change(
            key,
            account,
            CallStatus.B_INITIATED,
            cost=Decimal("0.01"),
            new_legs=(other,),
            legs=(up,),
        ),
        Change(
            key,
            account,
            CallStatus.B_INITIATED,
            duration=5,
            max_duration=77,
            cost=Decimal("0.05"),
            deliveries=sent,
        ),
        Change(key, account, CallStatus.B_INITIATED, 6, requested_hold=Decimal(9)),
        Change(
            key,
            account,
            finish.status,
            9,
            Decimal("0.09"),
            legs=(ended,),
            finish=finish,
            ended_at=NOW,
            done=not has_eventurl,
        ),
    ]
    if has_eventurl:
        changes.append(Change(key, account, deliveries=(delivery(3, finish.status),)))
        changes.append(Change(key, account, done=True))
    return changes[: chance.randint(1, len(changes))]


def written(model: Any) -> list[dict[str, Any]]:
    rows = model.objects.order_by("pk").values()
    return [{k: v for k, v in row.items() if k not in NOT_COMPARED} for row in rows]


def test_a_batch_writes_the_same_rows_as_single_changes(service: Service) -> None:
    calls = 12
    for _ in range(2 * calls):
        service.queue()
    claimed = claims.claim("one", 100, GatewayAvailability(["simulated"])).calls
    alone = [history(each, seed) for seed, each in enumerate(claimed[:calls])]
    together = [history(each, seed) for seed, each in enumerate(claimed[calls:])]

    for turn in range(max(map(len, alone))):
        one = [changes[turn] for changes in alone if turn < len(changes)]
        many = [changes[turn] for changes in together if turn < len(changes)]
        assert store.save(many) == [store.save([change])[0] for change in one]

    def halves(rows: list[Any]) -> tuple[list[Any], list[Any]]:
        first = {each.key.pk for each in claimed[:calls]}
        return [r for r in rows if r[0] in first], [r for r in rows if r[0] not in first]

    for model, by in ((Call, "pk"), (Leg, "call"), (EventDelivery, "call"), (LedgerEntry, "call")):
        names = [f.attname for f in model._meta.concrete_fields if f.attname not in NOT_COMPARED]
        names = [name for name in names if name != "balance"]  # a running total
        rows = model.objects.exclude(**{f"{by}": None}).order_by("pk").values_list(by, *names)
        one_by_one, at_once = halves(list(rows))
        key = str if model is Call else repr
        assert sorted(key(row[1:]) for row in one_by_one) == sorted(
            key(row[1:]) for row in at_once
        ), model
        assert one_by_one
    held = sum(Call.objects.values_list("held", flat=True))
    assert Account.objects.get().held == held


def test_each_field_of_a_change_is_stored(service: Service) -> None:
    service.queue()
    [claimed] = claims.claim("one", 1, GatewayAvailability(["simulated"])).calls
    bought = Tariff(Decimal("0.2"), Decimal("0.01"), 2, 3)
    at = [NOW + timedelta(seconds=second) for second in range(4)]
    began = leg(claimed, Side.A, buy_tariff=bought)
    ended = leg(
        claimed,
        Side.A,
        ringing_at=at[1],
        answered_at=at[2],
        ended_at=at[3],
        cause="normal",
        duration=9,
        cost=Decimal("0.09"),
        sip_status=487,
        q850=16,
        dialog="<dialog>",
        buy_tariff=bought,
    )
    finish = Finish(CallStatus.A_DISCONNECTED, Cause.BUSY, 9, Decimal("0.09"), Decimal(0))
    sent = delivery(1, CallStatus.A_INITIATED)

    store.save([Change(claimed.key, new_legs=(began,), deliveries=(sent,))])
    assert Leg.objects.values(*columns(began)).get() == columns(began)
    assert EventDelivery.objects.values_list(
        "sequence", "status", "duration", "cost", "sent_at", "seconds", "answer", "error"
    ).get() == (1, 1, 5, Decimal("0.1"), NOW, 0.25, 200, "")

    store.save(
        [
            Change(
                claimed.key,
                claimed.account,
                finish.status,
                9,
                77,
                Decimal("0.09"),
                legs=(ended,),
                finish=finish,
                ended_at=at[3],
            )
        ]
    )
    assert Leg.objects.values(*columns(ended)).get() == columns(ended)
    assert Leg.objects.values_list(
        *("price_per_minute", "connect_fee", "initial_increment", "subsequent_increment"),
        "minimum_charge",
    ).get() == astuple(claimed.plan.tariff(Side.A))
    assert Leg.objects.values_list(
        "buy_price_per_minute",
        "buy_connect_fee",
        "buy_initial_increment",
        "buy_subsequent_increment",
        "buy_minimum_charge",
    ).get() == astuple(bought)
    names = ("state", "status", "duration", "max_duration", "cost", "hangup_cause", "ended_at")
    assert Call.objects.values_list(*names).get() == (
        "ending",
        4,
        9,
        77,
        Decimal("0.09"),
        "busy",
        at[3],
    )
    store.save([Change(claimed.key, done=True)])
    assert Call.objects.values_list("state", "lease_until").get() == ("ended", None)


def columns(row: LegRow) -> dict[str, Any]:
    """The expected columns of a leg, without the tariffs."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    renamed = {"gateway_id": values.pop("gateway"), "hangup_cause": values.pop("cause")}
    del values["tariff"], values["buy_tariff"]
    return values | renamed | {"buy_cost": row.buy_cost}


def test_a_change_that_cannot_be_written_does_not_affect_others(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        service.queue()
    claimed = claims.claim("one", 10, GatewayAvailability(["simulated"])).calls
    changes = [Change(each.key, each.account, CallStatus.A_INITIATED) for each in claimed]
    changes[1] = replace(changes[1], duration=-1)  # violates a constraint

    async def write() -> list[Any]:
        database = DatabaseThreads(1, retry_for=5)
        writer = WriteQueue(database, database, lambda seconds: None)
        try:
            return await asyncio.gather(*map(writer.save, changes), return_exceptions=True)
        finally:
            await asyncio.to_thread(database.close)

    first, bad, last = asyncio.run(write())
    assert (first, last) == (None, None)
    assert isinstance(bad, DatabaseError)
    assert list(Call.objects.order_by("pk").values_list("status", flat=True)) == [1, None, 1]
    assert "3 changes could not be written together" in caplog.text


def test_a_batch_with_a_lost_call_writes_nothing(service: Service) -> None:
    for _ in range(3):
        service.queue()
    claimed = claims.claim("one", 10, GatewayAvailability(["simulated"])).calls
    Call.objects.filter(pk=claimed[1].key.pk).update(fence=2)
    before = written(Call)
    with pytest.raises(LostCall):
        store.save([history(each, 1)[0] for each in claimed])
    assert written(Call) == before
    assert not Leg.objects.exists()


def test_a_change_can_be_written_again(service: Service) -> None:
    """For example, after a commit whose response was lost."""
    service.queue()
    [claimed] = claims.claim("one", 10, GatewayAvailability(["simulated"])).calls
    changes = history(claimed, 3)[:3]
    for change in changes:
        store.save([change])
        before = [written(model) for model in (Call, Leg, EventDelivery)]
        store.save([change])
        assert [written(model) for model in (Call, Leg, EventDelivery)] == before


def test_a_write_updates_seen_at_by_the_databases_clock(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.queue()
    [claimed] = claims.claim("one", 10, GatewayAvailability(["simulated"])).calls
    Call.objects.update(seen_at=datetime(2000, 1, 1, tzinfo=NOW.tzinfo))
    real = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: real + timedelta(hours=5))
    store.save([Change(claimed.key, claimed.account)])
    seen = Call.objects.get().seen_at
    assert seen is not None
    assert abs(seen - real) < timedelta(minutes=1)


def test_many_changes_need_few_statements(service: Service) -> None:
    for _ in range(20):
        service.queue()
    claimed = claims.claim("one", 100, GatewayAvailability(["simulated"])).calls
    store.save([history(each, 1)[0] for each in claimed])
    changes = [Change(each.key, each.account, CallStatus.A_ANSWERED, 1) for each in claimed]
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        store.save(changes)
    assert len(captured) <= 6  # savepoints included


def test_claiming_many_calls_needs_few_statements(service: Service) -> None:
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("This database claims each call by a compare-and-set.")
    for _ in range(20):
        service.queue()
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        assert len(claims.claim("one", 100, GatewayAvailability(["simulated"])).calls) == 20
    assert len(captured) <= 10  # savepoints and gateways included
