"""A switch records its heartbeats, and deletes its row when it stops."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_poketalk.server.models import Switch
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.monitoring import heartbeat

from ..conftest import SPEED, Service, serve

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_switch_has_a_row_only_while_it_runs(service: Service) -> None:
    engine = Engine("office", SPEED)
    serve(engine, until=Switch.objects.exists)

    assert not Switch.objects.exists()


def test_the_row_of_a_dead_switch_is_kept_for_a_day(service: Service) -> None:
    heartbeat.beat("dead", 3)
    heartbeat.beat("dead", 4)
    Switch.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
    heartbeat.beat("alive", 0)

    dead = Switch.objects.get(name="dead")
    assert dead.live_calls == 4
    assert not dead.is_alive(timezone.now())
    assert Switch.objects.get(name="alive").is_alive(timezone.now())

    Switch.objects.filter(name="dead").update(seen_at=timezone.now() - timedelta(days=2))
    heartbeat.beat("another", 0)
    assert not Switch.objects.filter(name="dead").exists()
