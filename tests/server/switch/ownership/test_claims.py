"""An error while claiming leaves all calls in the queue."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from django_poketalk.server.models import Call
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import claims, plan

from ..conftest import Service

pytestmark = pytest.mark.django_db(transaction=True)


def test_all_calls_can_be_claimed_again_after_an_error(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = service.queue(custom="first"), service.queue(custom="second")
    claimed_call = plan._claimed

    def fails_once(call: Call, *args: Any) -> Any:
        if call.pk == second.pk:
            monkeypatch.setattr(plan, "_claimed", claimed_call)
            raise OperationalError("the connection is gone")
        return claimed_call(call, *args)

    monkeypatch.setattr(plan, "_claimed", fails_once)
    with pytest.raises(OperationalError):
        claims.claim("office", 10, GatewayAvailability(["simulated"]))

    assert Call.objects.queued().count() == 2
    claimed = claims.claim("office", 10, GatewayAvailability(["simulated"])).calls
    assert [each.key.pk for each in claimed] == [first.pk, second.pk]
