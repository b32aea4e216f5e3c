"""A long queue delays neither other accounts nor calls by other gateways."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from django_poketalk.server.models import Account, Call, Gateway
from django_poketalk.server.switch.database_threads import DatabaseThreads
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import claims, intake
from django_poketalk.server.switch.ownership.intake import Intake

from ..conftest import Service

pytestmark = pytest.mark.django_db(transaction=True)

SIMULATED = GatewayAvailability(["simulated"])


def queue(service: Service, number: int) -> None:
    """Queue this many calls of the account, which has none so far."""
    first = service.queue(hold=0)
    rows = {field.attname: getattr(first, field.attname) for field in Call._meta.concrete_fields}
    del rows["id"]
    Call.objects.bulk_create(Call(**{**rows, "turn": turn}) for turn in range(1, number))


def claimed_in_rounds(rounds: int) -> list[set[int]]:
    """The calls that one switch claims in each of these rounds."""

    async def claim() -> list[set[int]]:
        database = DatabaseThreads(1, 5.0)
        room = Intake("one", database, lambda: SIMULATED, *[lambda: 0] * 3)
        try:
            return [{each.key.pk for each in (await room.claim())[0]} for _ in range(rounds)]
        finally:
            await asyncio.to_thread(database.close)

    return asyncio.run(claim())


def test_1400_calls_of_one_account_do_not_delay_those_of_another(service: Service) -> None:
    queue(service, 1400)
    claims.claim("one", 10, SIMULATED)
    small = Account.objects.create(
        name="Small",
        provider=service.provider,
        price_list=service.account.price_list,
        credit_limit=100,
    )
    theirs = Service(small, service.provider, service.gateway, service.rate)
    for _ in range(5):
        theirs.queue(hold=1, turn=Call.objects.next_turn(small))

    claimed = [each.account for each in claims.claim("one", 10, SIMULATED).calls]

    assert sorted(claimed) == sorted([service.account.pk, small.pk] * 5)


@pytest.mark.parametrize("waiting", [60, 2 * intake.LOOK + 50])
def test_calls_that_wait_for_a_gateway_do_not_delay_those_by_another(
    service: Service, waiting: int
) -> None:
    Gateway.objects.filter(pk=service.gateway.pk).update(max_channels=2)
    Gateway.objects.create(
        provider=service.provider, name="Germany", kind="simulated", prefixes="49"
    )
    queue(service, 1 + waiting)
    numbers: dict[str, Any] = {"from_number": "493023125001", "to_number": "493023125002"}
    turn = Call.objects.next_turn(service.account)
    german = [service.queue(hold=1, turn=turn + each, **numbers) for each in range(3)]
    [first] = claims.claim("other", 1, SIMULATED).calls  # takes both channels

    rounds = claimed_in_rounds(1 + waiting // intake.LOOK)

    assert set.union(*rounds) == {call.pk for call in german}
    Call.objects.filter(pk=first.key.pk).update(state=Call.State.QUEUED)
    Call.objects.get(pk=first.key.pk).channels.all().delete()
    assert claimed_in_rounds(1) == [{first.key.pk}]
