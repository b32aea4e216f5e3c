"""Logs and error reports contain neither keys nor numbers."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.db import connection
from django.db.models import Model
from django.views.debug import ExceptionReporter

from django_poketalk.server.admission import CallForm
from django_poketalk.server.models import Account, AllowedAddress, ApiKey, Call, Gateway, Rate

from .conftest import CALLEE, CALLER, Customer


@pytest.mark.parametrize("model", [ApiKey, AllowedAddress, Account, Gateway, Call])
def test_error_reports_contain_neither_key_nor_numbers(
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
        customer.request_call()
        customer.request_call(to="")
        customer.request_call(api_key=f"{customer.secret}x")
        customer.bad_request(custom="\0")
        Rate.objects.all().delete()
        customer.request_call()
    assert customer.secret not in caplog.text
    assert CALLER not in caplog.text


def test_the_repr_of_a_form_contains_neither_key_nor_numbers() -> None:
    text = repr(CallForm(api_key="the-key", from_number="442079460000", to_number="442079460123"))
    assert "the-key" not in text
    assert "4420" not in text
