"""Asks a Click-2-Call service whether it accepts this site, by requests that ring nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from ..conf import ServiceSettings
from ..exceptions import NoClearAnswer, NotConnected
from ..protocol.codes import ResponseCode
from ..shared.doctor.checking import Finding, Options, error, info, ok, warning
from ..shared.doctor.common_checks import compare_clocks
from .http import exchange

PATH = "/index.php/api/click2call"  # of our own service, below which is its query API
MAX_BODY = 4096  # bytes
NO_CALL = "poketalk-doctor"  # the id of no call


def check_url(service: ServiceSettings, options: Options) -> Iterator[Finding]:
    """Request a call without a callee. Every service must answer 30, or refuse the key first."""
    form = {"api_key": service.api_key, "from": "442079460000", "to": "", "custom": NO_CALL}
    try:
        found = exchange(
            service, "POST", service.url, MAX_BODY, within=options.patience / 3, data=form
        )
    except (NotConnected, NoClearAnswer) as failure:
        yield error(
            f"The service does not answer ({type(failure.__cause__).__name__}).",
            "Check URL, and that this host may connect to it. Calls are retried until they expire.",
        )
        return
    if 300 <= found.status < 400:
        yield error(
            "URL redirects. Requests do not follow redirects, which would forward the API key.",
            "Set URL to the final address, usually with https.",
        )
        return
    code = ResponseCode.read(found.body) if found.status == requests.codes.ok else None
    if code is None:
        yield error(
            f"URL is not that of a Click-2-Call service: it answers with HTTP {found.status}.",
            "Check the path of URL, usually …/index.php/api/click2call.",
        )
        return
    yield _judged(code)
    yield from _clock(found.headers.get("Date", ""))


def _judged(code: ResponseCode) -> Finding:
    answer = f"{code} ({code.meaning.rstrip('.').lower()})"
    match code:
        case ResponseCode.EMPTY_TO:
            return ok("The service answers, and refuses a call without a callee.")
        case ResponseCode.EMPTY_API_KEY | ResponseCode.UNKNOWN_API_USER:
            return error(f"The service refuses the key: {answer}.", "Correct API_KEY.")
        case ResponseCode.UNKNOWN_ADDRESS:
            return error(
                f"The service refuses this host: {answer}.",
                "Ask its operator to allow the address of your workers.",
            )
        case ResponseCode.OK:
            return error("The service accepted a call without a callee.", "Tell its operator.")
    return warning(f"The service refuses calls: {answer}.", "Ask its operator.")


def check_key(service: ServiceSettings, options: Options) -> Iterator[Finding]:
    """Ask the query API of our own service for a call that does not exist: it knows the key, or
    refuses it. Without `CALLS_API`, ask where our own service would have it.
    """
    calls_api, is_guess = service.calls_api, not service.calls_api
    if is_guess:
        if not service.url.endswith(PATH):
            yield _unproven()
            return
        calls_api = f"{service.url.removesuffix(PATH)}/api/"
    try:
        found = exchange(
            service,
            "GET",
            f"{calls_api.rstrip('/')}/calls/",
            MAX_BODY,
            within=options.patience / 3,
            params={"custom": NO_CALL},
            headers={"Authorization": f"Api-Key {service.api_key}", "Accept": "application/json"},
        )
    except (NotConnected, NoClearAnswer) as failure:
        name = type(failure.__cause__).__name__
        yield _unproven() if is_guess else error(f"CALLS_API does not answer ({name}).")
        return
    is_ours = not is_guess or _is_query_api(found.headers)
    if found.status == requests.codes.ok and _has_calls(found.body):
        yield ok("The service accepts the key.")
        if is_guess:
            yield info(
                "The service can end calls at once, and say why they failed.",
                f"Set CALLS_API to {calls_api}",
            )
    elif found.status == requests.codes.unauthorized and is_ours:
        yield error("The service does not know the key.", "Correct API_KEY.")
    elif found.status == requests.codes.forbidden and is_ours:
        yield error(
            "The key may not be used from this host's address.",
            "Ask the service's operator to allow the address of your workers.",
        )
    elif found.status == requests.codes.too_many_requests and is_ours:
        yield info("The key was not checked: there were too many requests. Try again in a minute.")
    elif is_guess:
        yield _unproven()
    else:
        yield error(f"CALLS_API answers with HTTP {found.status}.", "Correct CALLS_API.")


def _unproven() -> Finding:
    return info(
        "Whether the service accepts the key is known with the first call: a request that rings"
        " nobody does not prove it.",
    )


def _is_query_api(headers: Any) -> bool:
    """Whether an answer is that of our own service, instead of any page at that address."""
    kind = str(headers.get("Content-Type", ""))
    challenge = str(headers.get("WWW-Authenticate", ""))
    return kind.startswith("application/problem+json") or challenge == "Api-Key"


def _has_calls(body: bytes) -> bool:
    try:
        found: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and isinstance(found.get("results"), list)


def _clock(date: str) -> Iterator[Finding]:
    """Compare the clocks by the header `Date`, which has whole seconds."""
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return
    if theirs.tzinfo is not None:
        yield compare_clocks(
            (datetime.now(UTC) - theirs).total_seconds() - 0.5, "that of the service"
        )
