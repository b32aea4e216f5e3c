"""The API, requested with curl and an API key only."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import AllowedAddress, BlacklistedNumber, Rate

from .conftest import CALLEE, CALLER, PATH, Customer

pytestmark = [pytest.mark.needs("curl"), pytest.mark.django_db(transaction=True)]


def curl(url: str, *fields: str, options: Sequence[str] = ()) -> str:
    """Run `curl -d FIELD … URL`. Returns the body of the response, a space, and the HTTP status."""
    arguments = [*options, *(argument for field in fields for argument in ("-d", field))]
    done = subprocess.run(
        ["curl", "-s", "-m", "20", "--noproxy", "*", "-w", " %{http_code}", *arguments, url],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_returns_every_code(customer: Customer, live_server: Any) -> None:
    url = f"{live_server.url}{PATH}"
    key, caller, callee = f"api_key={customer.secret}", f"from={CALLER}", f"to={CALLEE}"

    def request_call() -> str:
        return curl(url, key, caller, callee)

    responses = [
        curl(url, caller, callee),
        curl(url, key, callee),
        curl(url, key, caller),
        curl(url, "api_key=nobody's", caller, callee),
        request_call(),
    ]
    BlacklistedNumber.objects.create(number=CALLEE)
    responses.append(request_call())
    BlacklistedNumber.objects.all().delete()
    Rate.objects.all().delete()
    responses.append(request_call())
    customer.gateway.delete()
    responses.append(request_call())
    customer.provider.is_active = False
    customer.provider.save()
    responses.append(request_call())
    AllowedAddress.objects.all().delete()
    responses.append(request_call())

    codes = ["10", "20", "30", "40", "00", "60", "90", "70", "50", "100"]
    assert responses == [f"{code} 200" for code in codes]


def test_400_names_a_malformed_field(customer: Customer, live_server: Any) -> None:
    url = f"{live_server.url}{PATH}"
    request = (f"api_key={customer.secret}", f"from={CALLER}", "to=0044 20")

    response = curl(url, *request)

    assert response.endswith(" 400")
    assert "0044 20" in response


def test_405_for_a_get(live_server: Any) -> None:
    assert curl(f"{live_server.url}{PATH}?from=1") == "Send a POST request. 405"


def test_411_for_a_chunked_body(customer: Customer, live_server: Any) -> None:
    """Its fields would seem to be missing, so that the code would be 10."""
    chunked = ["-H", "Transfer-Encoding: chunked"]
    form = (f"api_key={customer.secret}", f"from={CALLER}", f"to={CALLEE}")

    response = curl(f"{live_server.url}{PATH}", *form, options=chunked)

    assert response == "Send the body with a Content-Length, not in chunks. 411"


def test_90_for_an_account_without_money(customer: Customer, live_server: Any) -> None:
    ledger.adjust(customer.account, Decimal("-100.000"))

    response = curl(
        f"{live_server.url}{PATH}",
        f"api_key={customer.secret}",
        f"from={CALLER}",
        f"to={CALLEE}",
    )

    assert response == "90 200"
