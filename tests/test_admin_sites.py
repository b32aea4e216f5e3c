"""The pages of both halves work in any admin site, even in one without some of the models. Their
links stay in that site.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from django_poketalk import models as caller
from django_poketalk.calls import requesting
from django_poketalk.server import models as service
from tests.crm import more_sites
from tests.crm.models import Contact
from tests.server import money
from tests.server.conftest import make_customer

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.crm.more_sites")]

CALLER, CALLEE = "+442079460000", "+442079460123"


@pytest.fixture
def boss(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("django_poketalk.calls.task_publisher.wake", lambda pk, delay=0: None)
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    return client


@pytest.fixture
def rows(boss: Client) -> None:
    """A row of each model that has a page."""
    user = get_user_model().objects.get()
    contact = Contact.objects.create(name="Bob", phone=CALLEE)
    call = requesting.request_call(from_number=CALLER, to_number=CALLEE, user=user, subject=contact)
    call.events.create(received_at=timezone.now(), status=1, answer=200)
    caller.Phone.objects.create(user=user, number=CALLER)
    caller.BlacklistedNumber.objects.create(number=CALLEE, direction="to")
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
    service.PresentedNumber.objects.create(account=customer.account, number="442079460700")
    service.TestCall.objects.create(gateway=customer.gateway, number="442079460199")


def pages(site: admin.AdminSite) -> Iterator[str]:
    """The paths of all pages of our models, relative to the site."""
    for model, model_admin in site._registry.items():
        if model._meta.app_label not in ("poketalk", "poketalk_server", "crm"):
            continue
        row: Any = model._default_manager.first()
        assert row is not None or model is service.Switch, model
        base = f"{model._meta.app_label}/{model._meta.model_name}/"
        for pattern in model_admin.get_urls():
            if not isinstance(pattern, URLPattern) or pattern.name is None:
                continue
            route = str(pattern.pattern)
            if "<" in route and row is None:
                continue
            yield base + re.sub(r"<[^>]+>", "" if row is None else str(row.pk), route)


def links(html: str) -> set[str]:
    return set(re.findall(r'(?:href|action|data-[a-z-]*url)="(/[^"]*)"', html))


@pytest.mark.usefixtures("rows")
def test_every_page_works_in_another_site_and_links_only_to_it(boss: Client) -> None:
    visited = []
    for page in pages(more_sites.staff):
        response = boss.get(f"/staff/{page}")

        assert response.status_code in (200, 302, 403, 404, 405), page
        if response.status_code == 200 and "html" in response["Content-Type"]:
            visited.append(page)
            html = response.content.decode()
            assert not [each for each in links(html) if each.startswith("/admin/")], page
        elif response.status_code == 302:
            assert not response["Location"].startswith("/admin/"), page
    assert len(visited) > 50


@pytest.mark.usefixtures("rows")
def test_a_site_with_half_of_the_models_has_no_broken_pages(boss: Client) -> None:
    visited = 0
    for page in pages(more_sites.half):
        response = boss.get(f"/half/{page}")

        assert response.status_code in (200, 302, 403, 404, 405), page
        visited += response.status_code == 200
    assert visited > 15


@pytest.mark.usefixtures("rows")
def test_actions_in_another_site_redirect_to_it(boss: Client) -> None:
    call = caller.CallRequest.objects.get()
    base = f"/staff/poketalk/callrequest/{call.pk}"

    for deed, body in (("block", {"leg": "from"}), ("hang-up", {})):
        response = boss.post(f"{base}/{deed}/", body)

        assert (response.status_code, response["Location"]) == (302, f"{base}/change/")
    assert "/staff/poketalk/blacklistednumber/" in boss.get(f"{base}/change/").content.decode()
