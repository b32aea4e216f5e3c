"""The number that the callee's phone displays, as the project chooses it for each call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import DEFAULT_SERVICE, service, written_as
from ..exceptions import CallRefused
from ..models import CallRequest
from ..protocol import form_extensions, numbers
from ..shared.number_errors import explain

Chooser = Callable[[CallRequest], Any]

_DOTTED_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def choose(call: CallRequest, requested: Any = None) -> str:
    """The number (E.164) that this call should present: the requested one or, for None, that of
    `CALLER_ID`. "" leaves the choice to the service.

    Raises `CallRefused` for a text that is not a phone number.
    """
    number = from_settings(call) if requested is None else requested
    if not number:
        return ""
    try:
        return numbers.normalize(number, service(call.service).default_region)
    except numbers.InvalidNumber as error:
        raise CallRefused("number_invalid", explain(error), "caller_id") from error


def from_settings(call: CallRequest) -> Any:
    """What `CALLER_ID` says for this call: a number, or something false for none."""
    chosen = service(call.service).caller_id or ""
    return function(chosen)(call) if _DOTTED_PATH.fullmatch(chosen) else chosen


def check(alias: str = DEFAULT_SERVICE) -> None:
    """Raise `ImproperlyConfigured` if `CALLER_ID` is neither a number nor a function."""
    chosen = service(alias).caller_id or ""
    if _DOTTED_PATH.fullmatch(chosen):
        function(chosen)
    elif chosen:
        try:
            numbers.normalize(chosen, service(alias).default_region)
        except numbers.InvalidNumber as error:
            name = written_as(alias, "CALLER_ID")
            raise ImproperlyConfigured(f"{name}: {error}") from error


def function(path: str) -> Chooser:
    """The function with this dotted path. Raises `ImproperlyConfigured` if there is none."""
    try:
        found: Chooser = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"POKETALK['CALLER_ID']: {path!r} cannot be imported ({error})."
        ) from error
    if not callable(found):
        raise ImproperlyConfigured(f"POKETALK['CALLER_ID']: {path!r} is not a function.")
    return found


def is_sent(alias: str) -> bool:
    """Whether this service knows the field, so that requests have it."""
    return form_extensions.CALLER_ID in service(alias).service_extensions
