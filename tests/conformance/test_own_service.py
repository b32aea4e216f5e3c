"""Our own service passes all checks of the conformance program, with a switch in a process."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from django_poketalk.conformance import __main__ as program
from django_poketalk.conformance.checks import CHECKS
from django_poketalk.server.models import Account, AllowedAddress, ApiKey, BlacklistedNumber
from tests.server.conftest import PATH, make_customer
from tests.server.switch.processes import switch

pytestmark = [
    pytest.mark.programs,
    pytest.mark.timeout(300),
    pytest.mark.django_db(transaction=True),
]
SPEED = 15.0


def test_our_own_service_conforms(live_server: Any, settings: Any) -> None:
    settings.POKETALK_SERVER = {"EVENT_NETWORKS": ["127.0.0.0/8"]}
    customer = make_customer()
    customer.gateway.prefixes = "44"
    customer.gateway.save()
    customer.rate.prefix = "442"
    customer.rate.save()
    BlacklistedNumber.objects.create(number="442079460060")
    elsewhere = make_customer("Elsewhere")
    AllowedAddress.objects.filter(account=elsewhere.account).delete()
    poor = Account.objects.create(name="Without provider")
    AllowedAddress.objects.create(account=poor, network="127.0.0.1")
    _key, without_provider = ApiKey.issue(poor)
    out = io.StringIO()

    with switch(speed=SPEED):
        code = program.main(
            [
                *(f"{live_server.url}{PATH}", "--key", customer.secret, "--speed", f"{SPEED:g}"),
                *("--from", "442079460099", "--to", "442079460021", "--patience", "60"),
                *("--blacklisted", "442079460060", "--no-gateway", "12025550123"),
                *("--no-rate", "443069990123", "--key-elsewhere", elsewhere.secret),
                *("--key-without-provider", without_provider),
            ],
            out,
        )

    report = out.getvalue()
    assert code == 0, report
    assert len(re.findall(" PASSED$", report, re.MULTILINE)) == len(CHECKS), report
