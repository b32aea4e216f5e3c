"""The doctor's checks of the service: switches, gateways, ports, a sample call, funds, events."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_poketalk.server.database.notify import connection_parameters
from django_poketalk.server.doctor import sample_calls, switches
from django_poketalk.server.models import (
    Account,
    AllowedAddress,
    ApiKey,
    BlacklistedNumber,
    Call,
    EventDelivery,
    Gateway,
    Rate,
    ServiceProvider,
    Switch,
)
from django_poketalk.server.switch.gateways.sip import port as sip_port
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.shared.doctor import Finding, Options

from . import money
from .conftest import CALLEE, CALLER, Customer

pytestmark = pytest.mark.django_db
SAMPLE = Options(seconds=2, from_number=f"+{CALLER}", to_number=CALLEE)
LEGS = "+44 ••••••••00 to +1 ••••••••23"


def found(
    check: Callable[[Options], Iterator[Finding]], options: Options = SAMPLE
) -> list[tuple[str, str]]:
    return [(each.level.value, each.text) for each in check(options)]


def levels(check: Callable[[Options], Iterator[Finding]]) -> list[str]:
    return [level for level, _ in found(check)]


def test_a_running_switch_takes_calls(customer: Customer) -> None:
    heartbeat.beat("office", 3)

    assert found(switches.check_switches) == [("ok", "office takes calls. Live calls: 3.")]


def test_without_a_switch_no_phone_rings(customer: Customer, queued: Any) -> None:
    queued()
    Call.objects.update(created_at=timezone.now() - timedelta(seconds=25))

    first, second = found(switches.check_switches)

    assert first == ("error", "No switch is running, so no phone rings.")
    assert second[0] == "warning"
    assert second[1].startswith("Calls that wait: 1, the first since 2")


def test_a_switch_that_takes_no_calls_is_an_error(customer: Customer) -> None:
    heartbeat.beat("office", 0, problems=["down:sip"])
    heartbeat.beat("cellar", 0)
    Switch.objects.filter(name="cellar").update(seen_at=timezone.now() - timedelta(hours=1))

    results = found(switches.check_switches)

    assert ("error", "office takes no calls: down:sip.") in results
    assert "cellar stopped without signing off" in str(results)


def test_lost_calls_are_an_error(customer: Customer, queued: Any) -> None:
    heartbeat.beat("office", 0)
    queued()
    Call.objects.update(state="active", lease_until=timezone.now() - timedelta(seconds=5))

    assert found(switches.check_switches)[-1] == (
        "error",
        "Calls that a switch lost, and no other one has ended: 1.",
    )


def test_gateways_are_up_down_or_unseen(customer: Customer) -> None:
    assert levels(switches.check_gateways) == ["warning"]
    gateway = customer.gateway.pk
    now = timezone.now()

    heartbeat.beat("office", 0, [heartbeat.GatewayView(gateway, "", "", now)])
    assert found(switches.check_gateways) == [
        ("ok", "ACME's carrier: phones is up, with 0 channels in use.")
    ]

    heartbeat.beat("cellar", 0, [heartbeat.GatewayView(gateway, "", "", now, "timed out")])
    assert levels(switches.check_gateways) == ["warning"]

    heartbeat.beat("office", 0, [heartbeat.GatewayView(gateway, "", "", now, "timed out")])
    assert found(switches.check_gateways) == [
        ("error", "ACME's carrier: phones is down: timed out.")
    ]

    Gateway.objects.update(is_active=False)
    assert levels(switches.check_gateways) == ["error"]


def test_system_checks_of_gateways_are_included(customer: Customer) -> None:
    Gateway.objects.update(
        kind=Gateway.Kind.ASTERISK, ari_url="http://127.0.0.1:1", password_variable="HOME"
    )

    assert "(poketalk_server.W005)" in str(found(switches.check_gateways))


def test_the_sample_call_is_accepted_with_its_price(customer: Customer) -> None:
    [(level, text)] = found(sample_calls.check_sample_call)

    assert (level, text) == ("ok", f"ACME, {LEGS}: accepted, at 0.6 + 0.6 EUR a minute.")
    assert not Call.objects.exists()


def test_without_numbers_the_latest_call_is_the_sample(customer: Customer, queued: Any) -> None:
    assert found(sample_calls.check_sample_call, Options()) == [
        ("info", "There was no call yet whose rates could be looked up.")
    ]
    queued()

    [(level, text)] = found(sample_calls.check_sample_call, Options())

    assert level == "ok"
    assert LEGS in text


def test_numbers_that_cannot_be_read_are_an_error(customer: Customer) -> None:
    [(level, text)] = found(sample_calls.check_sample_call, Options(2, "12", "+0"))

    assert level == "error"
    assert "cannot be read" in text


def no_rates() -> None:
    Rate.objects.all().delete()


def rate_of_one_leg() -> None:
    Rate.objects.update(prefix="44")


def no_money() -> None:
    Account.objects.update(balance=0)


def no_gateway_abroad() -> None:
    Gateway.objects.update(prefixes="44")


def gateways_of_two_kinds() -> None:
    gateway = Gateway.objects.get()
    Gateway.objects.update(prefixes="44")
    Gateway.objects.create(
        provider=gateway.provider, name="trunk", kind=Gateway.Kind.SIP, prefixes="1"
    )


def no_provider() -> None:
    ServiceProvider.objects.update(is_active=False)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (no_rates, "90", ["has no rate for the caller", "has no rate for the callee"]),
        (rate_of_one_leg, "90", ["has no rate for the callee"]),
        (no_money, "90", ["0.000 EUR do not pay for the shortest call"]),
        (no_gateway_abroad, "70", ["no gateway of ACME's carrier reaches the callee"]),
        (gateways_of_two_kinds, "70", ["cannot be connected"]),
        (no_provider, "50", ["has no active service provider"]),
    ],
)
def test_a_refused_sample_call_says_why_and_admission_agrees(
    customer: Customer, change: Callable[[], None], code: str, words: list[str]
) -> None:
    change()

    results = found(sample_calls.check_sample_call)

    assert len(results) == len(words)
    for (level, text), expected in zip(results, words, strict=True):
        assert level == "error"
        assert expected in text
        assert f"(response code {code})." in text
    assert customer.request_call() == code


def test_a_blacklisted_sample_is_a_note(customer: Customer) -> None:
    BlacklistedNumber.objects.create(number=CALLEE)

    assert found(sample_calls.check_sample_call) == [
        ("info", f"ACME: {LEGS} is on the blacklist (response code 60).")
    ]
    assert customer.request_call() == "60"


def test_an_account_needs_a_key_and_addresses(customer: Customer) -> None:
    ApiKey.objects.revoke()
    AllowedAddress.objects.all().delete()

    results = found(sample_calls.check_sample_call)

    assert [level for level, _ in results] == ["warning", "warning", "ok"]
    assert "no API key that can be used" in results[0][1]
    assert "no allowed address (response code 100)." in results[1][1]


def test_without_accounts_nobody_can_call(db: None) -> None:
    assert found(sample_calls.check_sample_call) == [("error", "There is no active account.")]


def test_low_funds_are_a_warning(customer: Customer, queued: Any) -> None:
    money.charge(queued(Decimal("1.5")), Decimal("0.5"), Decimal(1))
    assert levels(sample_calls.check_funds) == ["ok"]

    Account.objects.update(balance=Decimal("1.000"))

    [(level, text)] = found(sample_calls.check_funds)
    assert level == "warning"
    assert text == "ACME has 1.000 EUR left. Its latest calls cost 1.500 EUR on average."


@pytest.fixture
def sip(customer: Customer, settings: Any) -> Iterator[socket.socket]:
    """A SIP gateway, and its port, taken on this host."""
    Gateway.objects.update(kind=Gateway.Kind.SIP, host="127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        settings.POKETALK_SERVER = {
            "SIP_ADDRESS": "127.0.0.1",
            "SIP_PORT": taken.getsockname()[1],
        }
        yield taken


def test_the_sip_port_belongs_to_a_switch(sip: socket.socket) -> None:
    level, text = found(switches.check_ports)[0]
    assert (level, "is taken, but no switch is running" in text) == ("error", True)

    heartbeat.beat("office", 0)
    level, text = found(switches.check_ports)[0]
    assert (level, "by a switch" in text) == ("ok", True)

    sip.close()
    level, text = found(switches.check_ports)[0]
    assert (level, "no switch with SIP gateways runs on this host" in text) == ("info", True)

    Switch.objects.all().delete()
    level, text = found(switches.check_ports)[0]
    assert (level, "is free for a switch" in text) == ("ok", True)
    assert sip_port.own_address() in text


def test_the_port_of_an_asterisk_is_tried(customer: Customer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        Gateway.objects.update(kind=Gateway.Kind.ASTERISK, ari_url=f"http://127.0.0.1:{port}")
        assert found(switches.check_ports)[0] == (
            "ok",
            f"phones at 127.0.0.1:{port} accepts connections.",
        )

    level, text = found(switches.check_ports)[0]
    assert level == "warning"
    assert text.endswith("is not reached from this host: Connection refused.")


def test_the_switchs_http_server_is_tried(customer: Customer, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        settings.POKETALK_SERVER = {"HEALTH_ADDRESS": address}
        assert levels(switches.check_ports)[0] == "ok"
    assert levels(switches.check_ports)[0] == "info"


def test_endpoints_that_do_not_answer_are_a_warning(customer: Customer, queued: Any) -> None:
    assert found(switches.check_deliveries) == [("info", "No event has been sent yet.")]
    call = queued(eventurl="https://crm.example.com/?s=$status")
    now = timezone.now()
    EventDelivery.objects.bulk_create(
        EventDelivery(
            call=call, sequence=n, status=3, duration=0, cost=0, sent_at=now, seconds=5,
            error="timed out",
        )
        for n in range(3)
    )  # fmt: skip
    Call.objects.update(final_event_due_at=now)

    results = found(switches.check_deliveries)

    assert [level for level, _ in results] == ["warning", "info", "ok"]
    assert results[0][1] == "crm.example.com failed to answer 3 of 3 events: timed out."


@pytest.mark.needs("postgresql")
@pytest.mark.django_db(transaction=True)
def test_notifications_of_the_database_must_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL notifies.")
    heartbeat.beat("office", 0)
    assert found(switches.check_switches)[-1] == (
        "ok",
        "The database notifies switches of new calls at once.",
    )

    def another_database() -> dict[str, Any]:
        return {**connection_parameters(), "dbname": "postgres"}

    monkeypatch.setattr(switches, "connection_parameters", another_database)
    level, text = found(switches.check_switches)[-1]
    assert (level, "do not arrive" in text) == ("warning", True)
