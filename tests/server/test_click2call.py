"""The API on the wire: ten codes, their order, and 400 for what no code stands for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.db import connection
from django.db.models import Model
from django.test import Client, override_settings
from django.views.debug import ExceptionReporter

from django_poketalk.server import ledger
from django_poketalk.server.models import (
    Account,
    AllowedAddress,
    ApiKey,
    BlacklistedNumber,
    Call,
    Gateway,
    Rate,
    ServiceProvider,
)

from .conftest import CALLEE, CALLER, PATH, Customer, make_customer

D = Decimal


# The ten codes


def test_00_and_the_call_is_queued_with_its_first_hold(customer: Customer) -> None:
    url = "https://crm.example.com/events?s=$status"
    assert customer.ask(custom="web1", eventurl=url) == "00"
    call = Call.objects.get()
    assert (call.account, call.provider) == (customer.account, customer.provider)
    assert (call.from_number, call.to_number) == (CALLER, CALLEE)
    assert (call.custom, call.eventurl, call.remote_address) == ("web1", url, "127.0.0.1")
    assert (call.state, call.status) == (Call.State.QUEUED, None)
    assert (call.rate_a, call.rate_b) == (customer.rate, customer.rate)
    # 100.000 pays for 5,000 s of two legs at 0.01 a second; 120 s of them are held.
    assert (call.max_duration, call.held) == (5000, D("2.400"))
    customer.account.refresh_from_db()
    assert customer.account.held == D("2.400")


def test_only_the_seeds_required_parameters_are_needed(customer: Customer) -> None:
    assert customer.ask() == "00"
    assert Call.objects.get().eventurl == ""


def test_an_empty_custom_is_made_up_and_unique(customer: Customer) -> None:
    assert [customer.ask(), customer.ask(custom=""), customer.ask(custom=None)] == ["00"] * 3
    made = set(Call.objects.values_list("custom", flat=True))
    assert len(made) == 3
    assert "" not in made


@pytest.mark.parametrize("api_key", ["", " ", None])
def test_10_without_a_key(customer: Customer, api_key: str | None) -> None:
    assert customer.ask(api_key=api_key) == "10"


@pytest.mark.parametrize("number", ["", " ", None, "+", "( )", "none", "٤٤٢٠٧٩٤٦٠١٢٣"])
@pytest.mark.parametrize(("name", "code"), [("from_", "20"), ("to", "30")])
def test_20_and_30_without_a_number(
    customer: Customer, name: str, code: str, number: str | None
) -> None:
    assert customer.ask(**{name: number}) == code


def test_40_for_a_key_that_nobody_has(customer: Customer) -> None:
    assert customer.ask(api_key=customer.secret + "x") == "40"
    assert customer.ask(api_key=customer.key.digest) == "40"
    assert customer.ask(api_key=customer.key.prefix) == "40"
    assert customer.ask(api_key="\0") == "40"


def test_40_for_a_key_that_was_revoked_or_whose_account_sleeps(customer: Customer) -> None:
    Account.objects.update(is_active=False)
    assert customer.ask() == "40"
    Account.objects.update(is_active=True)
    assert customer.ask() == "00"
    ApiKey.objects.update(revoked_at=customer.key.created_at)
    assert customer.ask() == "40"


def test_100_from_an_address_that_is_not_on_the_list_and_a_warning(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    customer.client.defaults["REMOTE_ADDR"] = "203.0.113.9"
    with caplog.at_level(logging.DEBUG):
        assert customer.ask() == "100"
    [record] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "203.0.113.9" in record.getMessage()
    assert customer.key.prefix in record.getMessage()
    assert customer.secret not in caplog.text


def test_100_when_the_list_is_empty_or_the_address_unknown(customer: Customer) -> None:
    customer.client.defaults["REMOTE_ADDR"] = ""
    assert customer.ask() == "100"
    AllowedAddress.objects.all().delete()
    customer.client.defaults["REMOTE_ADDR"] = "127.0.0.1"
    assert customer.ask() == "100"


def test_the_forwarded_address_counts_behind_a_trusted_proxy_alone(customer: Customer) -> None:
    AllowedAddress.objects.create(account=customer.account, network="198.51.100.0/24")
    customer.client.defaults.update(
        REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="127.0.0.1, 198.51.100.7"
    )
    assert customer.ask() == "100"
    with override_settings(POKETALK_SERVER={"TRUSTED_PROXIES": ["10.0.0.0/8"]}):
        assert customer.ask() == "00"
        customer.client.defaults["HTTP_X_FORWARDED_FOR"] = "198.51.100.7, 203.0.113.9"
        assert customer.ask() == "100"


def test_50_without_an_active_provider(customer: Customer) -> None:
    ServiceProvider.objects.update(is_active=False)
    assert customer.ask() == "50"
    Account.objects.update(provider=None)
    assert customer.ask() == "50"


@pytest.mark.parametrize("number", [CALLER, CALLEE])
def test_60_for_either_number_for_this_account_or_for_all(customer: Customer, number: str) -> None:
    other = make_customer("Other").account
    entry = BlacklistedNumber.objects.create(number=number, account=other)
    assert customer.ask() == "00"
    entry.account = customer.account
    entry.save()
    assert customer.ask() == "60"
    entry.account = None
    entry.save()
    assert customer.ask() == "60"


def test_60_for_a_prefix_and_not_for_the_number_that_is_as_long(customer: Customer) -> None:
    entry = BlacklistedNumber.objects.create(number="+1 202", is_prefix=True)
    assert customer.ask() == "60"
    entry.number = "1203"
    entry.save()
    assert customer.ask() == "00"


def test_70_when_either_leg_has_no_gateway(customer: Customer) -> None:
    Gateway.objects.update(prefixes="44")
    assert customer.ask() == "70"
    Gateway.objects.update(prefixes="1")
    assert customer.ask() == "70"
    Gateway.objects.update(prefixes="44 1")
    assert customer.ask() == "00"
    Gateway.objects.update(is_active=False)
    assert customer.ask() == "70"


def test_70_is_not_saved_by_another_providers_gateway(customer: Customer) -> None:
    make_customer("Other")
    customer.gateway.delete()
    assert customer.ask() == "70"


def test_90_when_either_leg_has_no_rate(customer: Customer) -> None:
    make_customer("Other")
    Rate.objects.filter(pk=customer.rate.pk).update(prefix="44")
    assert customer.ask() == "90"
    Rate.objects.filter(pk=customer.rate.pk).update(prefix="1")
    assert customer.ask() == "90"


def test_90_when_the_funds_do_not_reach_the_shortest_call(customer: Customer) -> None:
    ledger.adjust(customer.account, D("-99.981"))
    assert customer.ask() == "90"
    ledger.top_up(customer.account, D("0.001"))
    assert customer.ask() == "00"
    assert Call.objects.get().max_duration == 1


def test_90_at_the_cap_of_live_calls(customer: Customer, queued: Callable[..., Call]) -> None:
    Account.objects.update(max_live_calls=2)
    queued(state=Call.State.ENDED)
    first = queued(state=Call.State.ACTIVE)
    assert customer.ask() == "00"
    assert customer.ask() == "90"
    Call.objects.filter(pk=first.pk).update(state=Call.State.ENDED)
    assert customer.ask() == "00"
    Account.objects.update(max_live_calls=0)
    assert customer.ask() == "90"


def test_90_and_no_row_when_the_hold_fails_after_all(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "hold", lambda call, amount: False)
    assert customer.ask() == "90"
    assert not Call.objects.exists()


# The order


def _faults(customer: Customer) -> list[tuple[str, Callable[[dict[str, Any]], None]]]:
    """Each fault by the answer it deserves, in the order in which they are looked for."""

    def blacklist() -> None:
        BlacklistedNumber.objects.create(number=CALLEE)

    return [
        ("10", lambda form: form.update(api_key="")),
        ("20", lambda form: form.update({"from_": ""})),
        ("30", lambda form: form.update(to="")),
        ("40", lambda form: form.setdefault("api_key", "wrong")),
        ("100", lambda form: AllowedAddress.objects.all().delete()),
        ("400", lambda form: form.update(custom="x" * 256)),
        ("50", lambda form: ServiceProvider.objects.update(is_active=False)),
        ("60", lambda form: blacklist()),
        ("70", lambda form: Gateway.objects.update(is_active=False)),
        ("90", lambda form: Rate.objects.all().delete()),
    ]


@pytest.mark.parametrize("second", range(10))
@pytest.mark.parametrize("first", range(10))
def test_of_two_faults_the_one_that_is_looked_for_first_is_told(
    customer: Customer, first: int, second: int
) -> None:
    faults = _faults(customer)
    form: dict[str, Any] = {}
    for _answer, make in (faults[first], faults[second]):
        make(form)
    response = customer.post(**form)
    told = "400" if response.status_code == 400 else response.content.decode()
    assert told == faults[min(first, second)][0]
    assert not Call.objects.exists()


def test_with_every_fault_at_once_each_is_told_in_turn(customer: Customer) -> None:
    for answer, _make in _faults(customer):
        form: dict[str, Any] = {}
        later = [make for code, make in _faults(customer) if code == answer or _after(code, answer)]
        for make in later:
            make(form)
        response = customer.post(**form)
        told = "400" if response.status_code == 400 else response.content.decode()
        assert told == answer
        _repair(customer)


def _after(code: str, answer: str) -> bool:
    order = ["10", "20", "30", "40", "100", "400", "50", "60", "70", "90"]
    return order.index(code) > order.index(answer)


def _repair(customer: Customer) -> None:
    AllowedAddress.objects.all().delete()
    AllowedAddress.objects.create(account=customer.account, network="127.0.0.1")
    ServiceProvider.objects.update(is_active=True)
    BlacklistedNumber.objects.all().delete()
    Gateway.objects.update(is_active=True)
    Rate.objects.all().delete()
    Rate.objects.create(provider=customer.provider, price_per_minute=D("0.60"))


@pytest.mark.parametrize(
    "bad",
    [
        {"from_": "123"},
        {"to": "0044207946012"},
        {"custom": "x" * 256},
        {"custom": "a\nb"},
        {"eventurl": "ftp://example.com/"},
        {"eventurl": "http://10.0.0.1/"},
    ],
)
def test_outsiders_learn_nothing_of_what_a_good_request_is(
    customer: Customer, bad: dict[str, str]
) -> None:
    assert customer.ask(api_key="wrong", **bad) == "40"
    customer.client.defaults["REMOTE_ADDR"] = "203.0.113.9"
    assert customer.ask(**bad) == "100"


# What no code stands for


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"from_": "123456"}, "123456"),
        ({"to": "1234567890123456"}, "1234567890123456"),
        ({"to": "0044207946012"}, "0044207946012"),
        ({"to": "1202555;phone-context=x"}, "1202555"),
        ({"to": "12025550123@evil"}, "12025550123@evil"),
        ({"to": "1202555012\0003"}, "1202555012"),
        ({"to": "1202555٠123"}, "1202555"),
        ({"custom": "x" * 256}, "256 characters"),
        ({"custom": "a\r\nb"}, "position 2"),
        ({"custom": "a\0"}, "position 2"),
        ({"custom": "\x85"}, "position 1"),
        ({"custom": "a\u2028b"}, "position 2"),
        ({"eventurl": "https://example.com/" + "x" * 236}, "256 characters"),
        ({"eventurl": "ftp://example.com/"}, "http"),
        ({"eventurl": "example.com/events"}, "http"),
        ({"eventurl": "http://user@example.com/"}, "user name"),
        ({"eventurl": "http://127.0.0.1/"}, "127.0.0.1"),
        ({"eventurl": "http://example.com:22/"}, "port 22"),
        ({"eventurl": "http://example.com/\0"}, "characters"),
        ({"eventurl": "http://exämple.com/"}, "characters"),
    ],
)
def test_400_says_in_one_line_what_is_wrong_and_makes_no_call(
    customer: Customer, bad: dict[str, str], said: str
) -> None:
    line = customer.refusal(**bad)
    assert said in line
    assert line.isprintable()
    assert not Call.objects.exists()


def test_255_characters_are_not_too_many(customer: Customer) -> None:
    url = "https://example.com/" + "x" * 235
    assert customer.ask(custom="ü" * 255, eventurl=url) == "00"
    call = Call.objects.get()
    assert (call.custom, call.eventurl) == ("ü" * 255, url)


@pytest.mark.parametrize("name", ["api_key", "from", "to", "custom", "eventurl"])
def test_400_when_a_field_is_given_twice(customer: Customer, name: str) -> None:
    form = customer.form(custom="a", eventurl="https://example.com/")
    form[name] = [form[name], form[name]]
    response = customer.client.post(PATH, form)
    assert response.status_code == 400
    assert name in response.content.decode()


def test_parameters_in_the_url_are_not_read(customer: Customer) -> None:
    form = customer.form()
    response = customer.client.post(f"{PATH}?api_key={form.pop('api_key')}", form)
    assert response.content == b"10"


# HTTP


def test_the_answer_is_plain_text(customer: Customer) -> None:
    response = customer.post()
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content == b"00"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_405_for_every_method_but_post(client: Client, method: str) -> None:
    response = client.generic(method, PATH)
    assert response.status_code == 405
    assert response["Allow"] == "POST"


def test_neither_a_csrf_token_nor_a_login_is_asked_for(customer: Customer) -> None:
    customer.client = Client(enforce_csrf_checks=True)
    assert customer.ask() == "00"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/x-www-form-urlencoded; charset=latin-1", b"api_key=a", 400),
        ("application/x-www-form-urlencoded; charset=rot13", b"api_key=a", 400),
        ("application/x-www-form-urlencoded", b"&".join([b"a=b"] * 1001), 400),
        ("application/x-www-form-urlencoded", b"x" * (16 * 1024 + 1), 413),
        ("application/x-www-form-urlencoded", b"api_key=%ff%fe%00&from=%zz", 200),
        ("multipart/form-data", b"", 200),
        ("multipart/form-data; boundary=", b"x", 400),
        ("multipart/form-data; boundary=x; charset=rot13", b"--x--", 200),
        (
            "multipart/form-data; boundary=x; charset=rot13",
            b'--x\r\nContent-Disposition: form-data; name="api_key"\r\n\r\na\r\n--x--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name*=nonsense''%41\r\n\r\na\r\n--x--\r\n",
            200,
        ),
        ("application/json", b'{"api_key": "a"}', 200),
        ("", b"api_key=a", 200),
    ],
)
def test_odd_bodies_are_the_askers_fault(
    customer: Customer, content_type: str, body: bytes, status: int
) -> None:
    response = customer.client.generic("POST", PATH, body, content_type=content_type)
    assert response.status_code == status
    if status == 200:
        assert response.content == b"10" if b"%ff" not in body else b"20"


def test_a_multipart_form_is_a_form(customer: Customer) -> None:
    response = customer.client.post(PATH, customer.form(), format="multipart")
    assert response.content == b"00"


def test_a_nonsensical_length_is_the_askers_fault(customer: Customer) -> None:
    for length in ("-1", "x", "99999999999999999999"):
        response = customer.client.post(PATH, customer.form(), CONTENT_LENGTH=length)
        assert response.status_code < 500


# Settings and caps


@override_settings(POKETALK_SERVER={"MAX_DURATION": 600, "HOLD": 60})
def test_the_duration_granted_is_capped_by_service_and_account(customer: Customer) -> None:
    customer.ask()
    Account.objects.update(max_duration=300)
    customer.ask()
    Account.objects.update(max_duration=30)
    customer.ask()
    granted = list(Call.objects.order_by("id").values_list("max_duration", "held"))
    assert granted == [(600, D("1.200")), (300, D("1.200")), (30, D("0.600"))]


def test_each_legs_own_rate_is_the_longest_prefix(customer: Customer) -> None:
    for prefix in ("1", "1202", "13", "44"):
        Rate.objects.create(provider=customer.provider, prefix=prefix, price_per_minute=D(1))
    customer.ask()
    call = Call.objects.select_related("rate_a", "rate_b").get()
    assert call.rate_a is not None
    assert call.rate_b is not None
    assert (call.rate_a.prefix, call.rate_b.prefix) == ("44", "1202")


def test_what_live_calls_hold_is_not_there_for_others(customer: Customer) -> None:
    ledger.adjust(customer.account, D("-97"))
    assert customer.ask() == "00"  # holds 2.400 of 3.000
    assert customer.ask() == "00"  # the rest pays for 30 s
    assert customer.ask() == "90"
    assert list(Call.objects.order_by("id").values_list("max_duration", flat=True)) == [150, 30]


def test_a_repeated_custom_is_another_call_unless_it_is_unique(customer: Customer) -> None:
    assert [customer.ask(custom="web1"), customer.ask(custom="web1")] == ["00", "00"]
    assert Call.objects.count() == 2


@override_settings(POKETALK_SERVER={"UNIQUE_CUSTOM": True})
def test_a_repeated_unique_custom_answers_00_without_a_second_call(customer: Customer) -> None:
    other = make_customer("Other")
    assert customer.ask(custom="web1") == "00"
    Account.objects.update(max_live_calls=1)
    BlacklistedNumber.objects.create(number="7", is_prefix=True)
    assert customer.ask(custom="web1") == "00"
    assert Call.objects.count() == 1
    assert customer.ask(custom="WEB1") == "90"  # another one
    assert other.ask(custom="web1") == "00"
    assert Call.objects.count() == 2


@override_settings(POKETALK_SERVER={"UNIQUE_CUSTOM": True})
def test_a_unique_custom_may_be_used_again_when_its_call_is_over(customer: Customer) -> None:
    customer.ask(custom="web1")
    Call.objects.update(state=Call.State.ENDED, held=0)
    assert customer.ask(custom="web1") == "00"
    assert customer.ask(custom="") == "00"
    assert customer.ask(custom="") == "00"
    assert Call.objects.count() == 4


# Secrets


@pytest.mark.parametrize("model", [ApiKey, AllowedAddress, Account, Gateway, Call])
def test_neither_key_nor_numbers_stand_in_an_error_report(
    customer: Customer, model: type[Model]
) -> None:
    table = connection.ops.quote_name(model._meta.db_table)

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if f"FROM {table}" in sql or f"INTO {table}" in sql:
            raise RuntimeError("The database is gone.")
        return execute(sql, *rest)

    reports: list[str] = []

    def report(request: Any, **_kwargs: Any) -> None:
        reporter = ExceptionReporter(request, *sys.exc_info())
        reports.extend([reporter.get_traceback_html(), reporter.get_traceback_text()])

    got_request_exception.connect(report)
    try:
        customer.client.raise_request_exception = False
        with connection.execute_wrapper(fail):
            assert customer.post().status_code == 500
    finally:
        got_request_exception.disconnect(report)
    assert len(reports) == 2
    for text in reports:
        assert "The database is gone." in text
        for secret in (customer.secret, CALLER, CALLEE):
            assert secret not in text


def test_the_key_is_never_logged(customer: Customer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        customer.ask()
        customer.ask(to="")
        customer.refusal(custom="\0")
        Rate.objects.all().delete()
        customer.ask()
    assert customer.secret not in caplog.text
    assert CALLER not in caplog.text
