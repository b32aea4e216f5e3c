"""Every page of both halves in an admin site, for the tests that visit all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.urls import URLPattern
from django.utils import timezone

from django_poketalk import models as caller
from django_poketalk.calls import requesting
from django_poketalk.server import models as service
from tests.crm.models import Contact, Lead
from tests.server import money
from tests.server.conftest import make_customer

CALLER, CALLEE = "+442079460000", "+442079460123"


def make_rows() -> None:
    """A row of each model that has a page, of the one user there is."""
    user = get_user_model().objects.get()
    contact = Contact.objects.create(name="Bob", phone=CALLEE)
    Lead.objects.create(name="Lead", phone=CALLEE)
    call = requesting.request_call(from_number=CALLER, to_number=CALLEE, user=user, subject=contact)
    call.events.create(received_at=timezone.now(), status=1, answer=200)
    caller.CallBack.objects.create(user=user, to_number=CALLEE, due_at=timezone.now(), after=call)
    caller.Phone.objects.create(user=user, number=CALLER)
    caller.BlacklistedNumber.objects.create(number=CALLEE, direction="to")
    caller.Heartbeat.beat(caller.Heartbeat.SWEEP)
    customer = make_customer()
    served = customer.new_call()
    assert money.queue(served, Decimal("0.5"))
    leg = served.legs.create(
        side="a", attempt=1, gateway=customer.gateway, number="442079460000",
        price_per_minute=0, connect_fee=0, initial_increment=1, subsequent_increment=1,
        initiated_at=timezone.now() - timedelta(seconds=5),
    )  # fmt: skip
    served.deliveries.create(
        sequence=1, status=1, duration=0, cost=0, sent_at=leg.initiated_at, seconds=0.1, answer=200
    )
    service.LedgerEntry.objects.update(call=served)
    service.BlacklistedNumber.objects.create(
        account=customer.account, number="4420", is_prefix=True
    )
    service.BuyRate.objects.create(
        gateway=customer.gateway, prefix="44", price_per_minute=Decimal("0.01")
    )
    for owner in ({"price_list": customer.account.price_list}, {"gateway": customer.gateway}):
        service.DeckImport.objects.create(changes="[]", imported_at=timezone.now(), **owner)
    service.PresentedNumber.objects.create(account=customer.account, number="442079460700")
    served.channels.create(side="A", gateway=customer.gateway)
    switch = service.Switch.objects.create(
        name="office", started_at=leg.initiated_at, seen_at=timezone.now()
    )
    customer.gateway.states.create(switch=switch, is_up=True, since=leg.initiated_at)
    service.TestCall.objects.create(gateway=customer.gateway, number="442079460199")


def pages(site: admin.AdminSite) -> Iterator[str]:
    """The paths of all pages of our models, relative to the site."""
    for model, model_admin in site._registry.items():
        if model._meta.app_label not in ("poketalk", "poketalk_server", "crm"):
            continue
        row: Any = model._default_manager.first()
        assert row is not None, model
        base = f"{model._meta.app_label}/{model._meta.model_name}/"
        for pattern in model_admin.get_urls():
            if not isinstance(pattern, URLPattern) or pattern.name is None:
                continue
            route = str(pattern.pattern)
            if "<" in route and row is None:
                continue
            yield base + re.sub(r"<[^>]+>", "" if row is None else str(row.pk), route)
