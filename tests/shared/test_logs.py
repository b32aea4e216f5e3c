"""Logs contain no phone numbers, whatever the message or the exception."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from django_poketalk.models import Phone
from django_poketalk.shared import logs
from tests.conftest import PACKAGE

NUMBER = "+442079460123"
DUPLICATE = f"duplicate key value\nDETAIL:  Key (number)=({NUMBER}) already exists."


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, Callable[[], str]]]:
    """A logger of a module, and what a handler of the root logger wrote so far."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    root = logging.getLogger()
    root.addHandler(handler)
    yield logs.get_logger("django_poketalk.tests.some_module"), output.getvalue
    root.removeHandler(handler)


@pytest.mark.parametrize(
    "args",
    [
        (f"Call to {NUMBER} failed",),
        ("Call to %s failed", NUMBER),
        ("Call to %r failed", "+44 (0)20 7946-0123"),
        ("%s", IntegrityError(DUPLICATE)),
        ("%s", ValueError("442079460123")),
        ("%(number)s", {"number": "020/79460123"}),
        ("+44\u202f20\u202f7946\u202f0123",),
        ("٠٢٠ ٧٩٤٦ ٠١٢٣",),
    ],
)
def test_messages_and_arguments_are_masked(log: Any, args: tuple[Any, ...]) -> None:
    logger, output = log

    logger.warning(*args)

    assert sum(map(str.isdigit, output())) == 2, output()
    assert "••••••" in output()


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("Call %s expired.", (12345678,)),
        ("Call %d: %s EUR, %.3f s", (1234567, Decimal("1234567.250"), 12.5)),
        ("custom %s", ("0123456789abcdef0123456789abcdef",)),
        ("custom %s", ("01234567-89ab-4def-8123-456789abcdef",)),
        (
            "could not hang up %s, %s.",
            ("poketalk-88379608.17.1.A1", "poketalk-12345678.1234567.1.B2"),
        ),
        ("bridge %s of %s", ("poketalk-88379608.-1234567.12.bridge", "poketalk-88379608")),
        ("from %s:5060 to 203.0.113.7.", ("192.168.100.200",)),
        ("at 2026-05-04 09:30:00.123456+00", ()),
        ("2026-01-01 to 2026-01-31", ()),
        ("100 %", ()),
    ],
)
def test_what_is_no_phone_number_is_kept(log: Any, message: str, args: tuple[Any, ...]) -> None:
    logger, output = log

    logger.warning(message, *args)

    assert output() == f"{message % args if args else message}\n"


def test_tracebacks_are_masked_with_their_causes(log: Any) -> None:
    logger, output = log

    try:
        try:
            raise ValueError(f"psycopg: {DUPLICATE}")
        except ValueError as error:
            raise IntegrityError(DUPLICATE) from error
    except IntegrityError:
        logger.exception("The row was not saved.")

    assert "Traceback" in output()
    assert output().count("••••••23") == 2
    assert "7946" not in output()


def test_a_handler_gets_no_exception_with_a_number(caplog: pytest.LogCaptureFixture) -> None:
    logger = logs.get_logger("django_poketalk.tests.some_module")
    for text in (DUPLICATE, "no number"):
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("Failed.")

    masked, unchanged = caplog.records
    assert masked.exc_info is None
    assert unchanged.exc_info
    assert isinstance(unchanged.exc_info[1], ValueError)


@pytest.mark.django_db
def test_errors_of_the_database_reveal_no_number(log: Any) -> None:
    logger, output = log
    user = get_user_model().objects.create_user("anna")
    Phone.objects.create(user=user, number=NUMBER)

    try:
        with transaction.atomic():
            Phone.objects.bulk_create([Phone(user=user, number=NUMBER)])
    except IntegrityError as error:
        text = str(error)
        logger.exception("Not saved: %s", error)

    assert "IntegrityError" in output()
    assert "7946" not in output()
    assert connection.vendor == "sqlite" or "7946" in text


def test_the_filter_masks_the_logs_of_others_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(logs.HideNumbers())

    logging.getLogger("django.request").error("Internal Server Error: /calls/?q=%s", NUMBER)

    assert caplog.messages == ["Internal Server Error: /calls/?q=••••••23"]


def test_every_logger_of_the_package_has_the_filter() -> None:
    without = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"logging\.getLogger\(", path.read_text())
    ]

    assert without == ["shared/logs.py"]
