"""Logs without phone numbers, and with the call that each record is about: those of this package,
and of any handler that has the filters.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

from django_poketalk.protocol import numbers

_FORMATTER = logging.Formatter()


class HideNumbers(logging.Filter):
    """Masks what may be a phone number in a record's message, arguments and traceback, such as
    `Key (number)=(+442079460123) already exists`.

    Arguments that are numbers of Python, such as primary keys and amounts, stay as they are. A
    traceback with a number is only kept as text (`exc_text`).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _masked(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {name: _masked(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(map(_masked, record.args))
        if record.exc_info and not record.exc_text:
            text = _FORMATTER.formatException(record.exc_info)
            if numbers.mask_in_records(text) != text:
                record.exc_info, record.exc_text = None, text
        if record.exc_text:
            record.exc_text = numbers.mask_in_records(record.exc_text)
        return True


class CallFields(logging.Filter):
    """Adds what the record is about: `call_id`, the primary key, `call_service`, the alias of the
    call's service, and `call_step`, what is being done, such as `place`. None where it is unknown.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in (_NOTHING | _FIELDS.get({})).items():
            if not hasattr(record, name):  # given as `extra`
                setattr(record, name, value)
        return True


_NOTHING: dict[str, int | str | None] = dict.fromkeys(("call_id", "call_service", "call_step"))
_FIELDS: ContextVar[dict[str, int | str]] = ContextVar("poketalk_log_fields")


@contextmanager
def about_call(pk: int | None, step: str, service: str = "") -> Iterator[None]:
    """Records within this block, and in the tasks and timers that it starts, are about this call
    and step. Inner blocks add to what outer ones say.
    """
    said: dict[str, int | str | None] = {"call_id": pk, "call_step": step, "call_service": service}
    known = {name: value for name, value in said.items() if value}
    token = _FIELDS.set({**_FIELDS.get({}), **known})
    try:
        yield
    finally:
        _FIELDS.reset(token)


_HIDE_NUMBERS = HideNumbers()
_CALL_FIELDS = CallFields()


def get_logger(name: str) -> logging.Logger:
    """The logger of a module of this package, with both filters. Django passes records on to the
    handlers of parent loggers, but not through their filters: each logger needs its own.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_CALL_FIELDS)
    logger.addFilter(_HIDE_NUMBERS)
    return logger


def _masked(value: Any) -> Any:
    """The value if its text has no phone number, otherwise the masked text."""
    if value is None or isinstance(value, (int, float, Decimal)):
        return value
    text = value if isinstance(value, str) else str(value)
    masked = numbers.mask_in_records(text)
    return value if masked == text else masked
