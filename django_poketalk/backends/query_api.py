"""The query API of `django_poketalk.server`, an extension of the protocol: asks about a call, and
hangs it up.

The key is only sent to `CALLS_API`: redirects are not followed, and no URL comes from an answer.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import requests

from ..conf import ServiceSettings
from ..exceptions import NoClearAnswer, NotConnected
from ..protocol.codes import CallStatus
from . import http
from .base import BY_CALLEE, BY_CALLER, ServiceCall

TIMEOUT = 2.0  # seconds, for the connection and again for the whole answer
NORMAL, FOLLOWED = "normal", "other_leg"  # somebody hung up, and the other leg followed
OVER = ("ending", "ended")  # the values of `state` after a call's end


def hang_up(service: ServiceSettings, webcallid: str) -> bool:
    """Hang up the call. False if the service does not know it. True if it has ended already."""
    call = _find(service, webcallid)
    if call is None:
        return False
    status, _body = _request(service, "POST", f"calls/{int(call['id'])}/hang-up/")
    if status not in (requests.codes.accepted, requests.codes.conflict):
        raise NoClearAnswer(f"The service answered the hang-up with HTTP {status}.")
    return True


def look_up(service: ServiceSettings, webcallid: str) -> ServiceCall | None:
    """The call, or None if the service does not know it."""
    call = _find(service, webcallid)
    if call is None:
        return None
    try:
        status = call["status"]
        return ServiceCall(
            is_over=call["state"] in OVER,
            status=None if status is None else CallStatus(status),
            duration=int(call["duration"]),
            cost=Decimal(call["cost"]),
            cause=_cause(call),
        )
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise NoClearAnswer(f"The service described a call incompletely: {error!r}") from error


def currency(service: ServiceSettings) -> str:
    """The currency of the account, which its balance has."""
    status, body = _request(service, "GET", "balance/")
    try:
        return str(json.loads(body)["currency"])
    except (KeyError, TypeError, ValueError) as error:
        raise NoClearAnswer(f"The service answered with HTTP {status} and no currency.") from error


def _cause(call: dict[str, Any]) -> str:
    """Why the call ended. If somebody hung up, also who: the other leg says so."""
    cause = str(call["hangup_cause"])
    if cause == NORMAL:
        followed = {leg["side"] for leg in call.get("legs", ()) if leg["hangup_cause"] == FOLLOWED}
        if len(followed) == 1:
            return {"a": BY_CALLEE, "b": BY_CALLER}.get(followed.pop().lower(), cause)
    return cause


def _find(service: ServiceSettings, webcallid: str) -> dict[str, Any] | None:
    """The newest call with this `custom`. Raises `NoClearAnswer` if that is not certain."""
    status, body = _request(service, "GET", "calls/", params={"custom": webcallid})
    try:
        calls: Any = json.loads(body)["results"] if status == requests.codes.ok else None
        found = [call for call in calls if call["custom"] == webcallid and int(call["id"])]
    except (KeyError, TypeError, ValueError) as error:
        raise NoClearAnswer(f"The service answered with HTTP {status} and no calls.") from error
    return found[0] if found else None


def _request(service: ServiceSettings, method: str, path: str, **options: Any) -> tuple[int, bytes]:
    """The HTTP status and the body. Raises `NoClearAnswer` if there is no answer in time."""
    url = service.calls_api.rstrip("/") + f"/{path}"
    headers = {"Authorization": f"Api-Key {service.api_key}", "Accept": "application/json"}
    try:
        found = http.exchange(service, method, url, within=TIMEOUT, headers=headers, **options)
    except NotConnected as error:
        raise NoClearAnswer(str(error)) from error
    return found.status, found.body
