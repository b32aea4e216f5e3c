"""Calls, call detail records, deliveries and gateways in the service's admin."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from django_poketalk.server.admin import causes
from django_poketalk.server.billing.rating import Tariff, cost
from django_poketalk.server.models import Account, Call, EventDelivery, Leg, TestCall
from django_poketalk.server.switch.machine.facts_and_commands import Cause

from ..conftest import CALLEE, CALLER, Customer

pytestmark = pytest.mark.django_db

CALLS = "/admin/poketalk_server/call/"
LEGS = "/admin/poketalk_server/leg/"
TEST_CALLS = "/admin/poketalk_server/testcall/"
Queued = Callable[..., Call]


def staff(*codenames: str) -> Client:
    user = get_user_model().objects.create_user(f"staff {timezone.now()}", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="poketalk_server", codename__in=codenames)
    )
    client = Client()
    client.force_login(user)
    return client


def html_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def end(call: Call, cause: str = "busy") -> Call:
    Call.objects.filter(pk=call.pk).update(
        state="ended", status=2, hangup_cause=cause, held=0, ended_at=timezone.now()
    )
    return call


def add_leg(call: Call, customer: Customer, **facts: Any) -> Leg:
    tariff = customer.rate.tariff
    return Leg.objects.create(
        call=call,
        gateway=customer.gateway,
        **{"side": "A", "number": CALLER, "hangup_cause": "busy", **facts},
        price_per_minute=tariff.price_per_minute,
        connect_fee=0,
        initial_increment=1,
        subsequent_increment=1,
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"live": "now"}, "1 service call"),
        ({"live": "queued"}, "1 service call"),
        ({"live": "over"}, "1 service call"),
        ({"live": "talking"}, "0 service calls"),
        ({"live": "nonsense"}, "0 service calls"),
        ({"cause": "busy"}, "1 service call"),
        ({"cause": "declined"}, "0 service calls"),
        ({"day": "today"}, "2 service calls"),
        ({"day": "yesterday"}, "0 service calls"),
        ({"q": "first"}, "1 service call"),
        ({"q": "+44 20 7946"}, "2 service calls"),
        ({"q": "+49"}, "0 service calls"),
    ],
)
def test_finds_calls(queued: Queued, query: dict[str, str], found: str) -> None:
    end(queued(custom="first"))
    queued(custom="second")

    assert f"{found}\n" in html_of(staff("view_call", "view_numbers").get(CALLS, query))


def test_hangup_causes_are_in_the_users_language(
    queued: Queued, customer: Customer, settings: Any
) -> None:
    assert set(causes.WORDS) == set(Cause)
    call = end(queued(), "no_answer")
    add_leg(call, customer, hangup_cause="gateway_down")
    reader = staff("view_call", "view_leg")
    settings.LANGUAGE_CODE = "de"

    for path in (CALLS, f"{CALLS}{call.pk}/change/"):
        assert "nicht abgehoben" in html_of(reader.get(path))
    assert "Gateway ausgefallen</td>" in html_of(reader.get(LEGS))


def test_masked_numbers_cannot_be_searched_for(queued: Queued) -> None:
    queued()
    client = staff("view_call")

    assert CALLEE not in html_of(client.get(CALLS))
    assert "0 service calls\n" in html_of(client.get(CALLS, {"q": CALLEE}))


def test_hangs_up_a_live_call_from_its_page(queued: Queued) -> None:
    call = queued()
    page = f"{CALLS}{call.pk}/change/"
    client = staff("view_call", "hang_up_call")
    assert "Hang up</button>" in html_of(client.get(page))

    response = client.post(f"{CALLS}{call.pk}/hang-up/", follow=True)

    call.refresh_from_db()
    assert call.hangup_requested_at is not None
    assert "Calls that will be hung up: 1." in html_of(response)
    assert "Hang up</button>" not in html_of(client.get(page))
    assert LogEntry.objects.get().object_id == str(call.pk)


def test_hanging_up_requires_the_permission_a_post_and_a_call(queued: Queued) -> None:
    call = queued()
    url = f"{CALLS}{call.pk}/hang-up/"

    assert "Hang up</button>" not in html_of(staff("view_call").get(f"{CALLS}{call.pk}/change/"))
    assert staff("view_call").post(url).status_code == 403
    assert staff("hang_up_call").post(url).status_code == 403
    assert staff("view_call", "hang_up_call").get(url).status_code == 405
    assert staff("view_call", "hang_up_call").post(f"{CALLS}999/hang-up/").status_code == 404
    call.refresh_from_db()
    assert call.hangup_requested_at is None


def test_the_page_of_a_long_call_contains_its_latest_events(queued: Queued) -> None:
    call = queued()
    EventDelivery.objects.bulk_create(
        EventDelivery(
            call=call,
            sequence=n,
            status=7,
            duration=n,
            cost=0,
            answer=200,
            sent_at=timezone.now(),
            seconds=0.1,
        )
        for n in range(1, 260)
    )

    page = html_of(staff("view_call", "view_eventdelivery").get(f"{CALLS}{call.pk}/change/"))

    assert page.count('class="field-sequence"') == 200
    assert "259" in page


def test_exports_call_detail_records_as_csv(customer: Customer, queued: Queued) -> None:
    call = queued(custom='=HYPERLINK("x")')
    leg = add_leg(call, customer, sip_status=486, q850=17)
    export = {"action": "export_csv", "_selected_action": [leg.pk]}

    rows = {}
    for who, client in {
        "plain": staff("view_leg"),
        "whole": staff("view_leg", "view_numbers"),
    }.items():
        response = client.post(LEGS, export)
        text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
        header, row = csv.reader(io.StringIO(text))
        rows[who] = dict(zip(header, row, strict=True))

    assert rows["whole"]["number"] == CALLER
    assert rows["plain"]["number"] != CALLER
    assert rows["plain"]["number"].endswith(CALLER[-2:])
    assert rows["plain"]["custom"] == '\'=HYPERLINK("x")'
    assert (rows["plain"]["sip_status"], rows["plain"]["q850"]) == ("486", "17")
    assert LogEntry.objects.count() == 2


def test_the_margin_is_the_cost_less_the_buy_cost(customer: Customer, queued: Queued) -> None:
    call = queued()
    bought = {
        "buy_price_per_minute": Decimal("0.30"),
        "buy_connect_fee": Decimal("0.01"),
        "buy_cost": Decimal("1.3"),
    }
    known = add_leg(call, customer, cost=Decimal("1.2"), **bought)
    unknown = add_leg(call, customer, attempt=2, cost=Decimal("1.2"))
    reader = staff("view_leg", "view_buy_costs")

    listed = html_of(reader.get(LEGS))
    assert re.findall(r'<td class="field-margin[^"]*">([^<]*)</td>', listed) == ["—", "-0.100"]

    export = {"action": "export_csv", "_selected_action": [known.pk, unknown.pk]}
    response = reader.post(LEGS, export)
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    without, with_rate = csv.DictReader(io.StringIO(text))
    assert (with_rate["buy_cost"], with_rate["margin"]) == ("1.300", "-0.100")
    assert with_rate["buy_price_per_minute"] == "0.300000"
    assert {without[name] for name in without if "buy" in name or name == "margin"} == {""}


@pytest.mark.parametrize("side", ["sold", "bought"])
def test_a_legs_cost_can_be_computed_from_its_exported_record(
    customer: Customer, queued: Queued, side: str
) -> None:
    """The documentation's own example, for a customer who pays in crowns."""
    Account.objects.update(currency="CZK")
    leg = add_leg(queued(), customer, duration=67)
    example = {
        "price_per_minute": Decimal("0.12"),
        "connect_fee": Decimal("0.01"),
        "initial_increment": 60,
        "subsequent_increment": 6,
        "cost": Decimal("0.154"),
    }
    prefix = "buy_" if side == "bought" else ""
    Leg.objects.update(**{prefix + name: value for name, value in example.items()})

    reader = staff("view_leg", "view_buy_costs")
    response = reader.post(LEGS, {"action": "export_csv", "_selected_action": [leg.pk]})
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    [record] = csv.DictReader(io.StringIO(text))

    tariff = Tariff(
        Decimal(record[f"{prefix}price_per_minute"]),
        Decimal(record[f"{prefix}connect_fee"]),
        int(record[f"{prefix}initial_increment"]),
        int(record[f"{prefix}subsequent_increment"]),
    )
    assert str(cost(tariff, int(record["duration"]))) == record[f"{prefix}cost"] == "0.154"
    assert record["currency"] == "CZK"


@pytest.mark.parametrize(
    ("response", "answers"),
    [("412", [412]), ("failed", [None]), ("refused", [302, 500]), ("slow", [204])],
)
def test_filters_deliveries_by_response(queued: Queued, response: str, answers: list[int]) -> None:
    call = queued()
    for sequence, answer in enumerate([200, 412, None, 302, 500, 204]):
        EventDelivery.objects.create(
            call=call,
            sequence=sequence,
            status=3,
            duration=0,
            cost=0,
            sent_at=timezone.now(),
            answer=answer,
            seconds=3 if answer == 204 else 0.1,
        )

    page = staff("view_eventdelivery").get(
        "/admin/poketalk_server/eventdelivery/", {"response": response}
    )

    assert [row.answer for row in reversed(page.context["cl"].result_list)] == answers


def test_creates_a_test_call_by_number_and_gateway(customer: Customer) -> None:
    client = staff("add_testcall", "view_testcall", "view_gateway")

    response = client.post(
        f"{TEST_CALLS}add/", {"gateway": customer.gateway.pk, "number": "+1 (202) 555-0123"}
    )

    test_call = TestCall.objects.get()
    assert response["Location"] == f"{TEST_CALLS}{test_call.pk}/change/"
    assert (test_call.number, test_call.state, test_call.gateway) == (
        CALLEE,
        "queued",
        customer.gateway,
    )
    assert test_call.created_by is not None
    assert CALLEE not in html_of(client.get(response["Location"]))
    assert LogEntry.objects.get().is_addition()


@pytest.mark.parametrize("number", ["", "07946", "nobody", "+44 20 7946 0123 ext. 7", "٣" * 12])
def test_rejects_a_test_call_to_an_invalid_number(customer: Customer, number: str) -> None:
    client = staff("add_testcall", "view_testcall")

    page = html_of(
        client.post(f"{TEST_CALLS}add/", {"gateway": customer.gateway.pk, "number": number})
    )

    assert "errorlist" in page
    assert not TestCall.objects.exists()


def test_test_calls_require_the_permission(customer: Customer) -> None:
    assert staff("view_testcall", "change_gateway").get(f"{TEST_CALLS}add/").status_code == 403


def test_the_page_of_a_test_call_displays_its_outcome(customer: Customer) -> None:
    test_call = TestCall.objects.create(gateway=customer.gateway, number=CALLEE)
    page = f"{TEST_CALLS}{test_call.pk}/change/"
    client = staff("view_testcall")
    assert ">queued<" in html_of(client.get(page))

    TestCall.objects.update(state="ended", ended_at=timezone.now(), hangup_cause="busy")
    assert "not connected" in html_of(client.get(page))
    TestCall.objects.update(answered_at=timezone.now())
    assert ">connected<" in html_of(client.get(page))


def test_a_sip_gateway_requires_a_host(customer: Customer) -> None:
    client = staff("change_gateway", "view_gateway", "view_serviceprovider")
    page = f"/admin/poketalk_server/gateway/{customer.gateway.pk}/change/"
    form = {
        "provider": customer.provider.pk,
        "name": "Trunk",
        "kind": "sip",
        "priority": 10,
        "ring_timeout": 30,
        "port": 5060,
        "caller_id": "fixed",
        "strip_digits": 0,
        "max_channels": 0,
        "calls_per_second": 0,
        "keep_alive": 0,
    }

    assert "Enter the trunk’s host." in html_of(client.post(page, form))
    form["host"] = "trunk.example.com"
    assert "Enter the number that all calls display." in html_of(client.post(page, form))
    form["caller_number"] = "442079460000"
    assert client.post(page, form).status_code == 302
    customer.gateway.refresh_from_db()
    assert customer.gateway.trunk is not None
    assert customer.gateway.trunk.caller_id_for("1") == "442079460000"


@pytest.mark.parametrize(("page", "queries"), [(CALLS, 5), (LEGS, 6)])
def test_the_number_of_queries_does_not_grow_with_the_list(
    customer: Customer,
    queued: Queued,
    page: str,
    queries: int,
    django_assert_num_queries: Any,
) -> None:
    for n in range(3):
        add_leg(queued(custom=str(n)), customer)
    client = staff("view_call", "view_leg")
    with django_assert_num_queries(queries):
        client.get(page)


def test_filters_calls_by_day(queued: Queued) -> None:
    call = queued()
    Call.objects.filter(pk=call.pk).update(created_at=timezone.now() - timedelta(days=3))
    client = staff("view_call")

    assert "0 service calls\n" in html_of(client.get(CALLS, {"day": "today"}))
    assert "1 service call\n" in html_of(client.get(CALLS, {"day": "7"}))


def test_staff_see_only_the_host_of_an_event_url(queued: Queued) -> None:
    url = "https://example.com:8443/hook/s3cr3t?status=$status&sig=s3cr3t"
    call = queued(eventurl=url, state="active", status=7)
    boss = Client()
    boss.force_login(get_user_model().objects.create_superuser("boss"))

    html = html_of(boss.get(f"{CALLS}{call.pk}/change/"))

    assert '<bdi dir="ltr">https://example.com:8443/…</bdi>' in html
    assert "s3cr3t" not in html
    assert boss.get(CALLS, {"eventurl__contains": "s3c"}).status_code == 400
    assert boss.get(LEGS, {"call__eventurl__contains": "s3c"}).status_code == 400


def test_a_calls_page_has_no_duplicate_labels(queued: Queued) -> None:
    call = queued(state="ended", status=8, ended_at=timezone.now())

    html = html_of(staff("view_call").get(f"{CALLS}{call.pk}/change/"))

    labels = re.findall(r"<label>([^<]*):</label>", html)
    assert len(labels) > 10
    assert len(labels) == len(set(labels))
