"""A backend for Acme Voice, whose API speaks JSON and reports by signed webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from django_poketalk.backends import (
    Answer,
    BaseBackend,
    Order,
    Sent,
    ServiceCall,
    Verdict,
    WebhookEvent,
)
from django_poketalk.backends.http import Response, exchange
from django_poketalk.exceptions import InvalidSignature, NoClearAnswer
from django_poketalk.protocol.codes import CallStatus

AGE = 300  # seconds for which a webhook is accepted
PATIENCE = 2.0  # seconds to wait for the answer to a question; pages wait for it too
STATUSES = {
    "dialing-caller": CallStatus.A_INITIATED,
    "caller-failed": CallStatus.A_FAILED,
    "caller-answered": CallStatus.A_ANSWERED,
    "abandoned": CallStatus.A_DISCONNECTED,
    "dialing-callee": CallStatus.B_INITIATED,
    "callee-failed": CallStatus.B_FAILED,
    "connected": CallStatus.B_ANSWERED,
    "completed": CallStatus.AB_DISCONNECTED,
}
CAUSES = {"busy": "busy", "timeout": "no_answer", "rejected": "declined"}


class AcmeBackend(BaseBackend):
    """`URL` is the address of the API, and `OPTIONS` has the `webhook_secret`."""

    receives_webhooks = True

    @property
    def can_ask(self) -> bool:
        return True

    def place(self, order: Order) -> Answer:
        try:
            answer = self._request("POST", "/calls", json=self._form(order))
        except NoClearAnswer as error:  # `NotConnected` goes on: the order is then sent again
            return Answer(Verdict.UNKNOWN, detail=str(error))
        found = _read(answer.body)
        if answer.status == 201 and isinstance(found.get("id"), str):
            return Answer(Verdict.ACCEPTED, reference=found["id"])
        if answer.status in (400, 402, 403, 422) and isinstance(found.get("error"), str):
            return Answer(Verdict.REJECTED, detail=found["error"])
        return Answer(Verdict.UNKNOWN, detail=f"HTTP {answer.status} without a clear answer")

    def hang_up(self, webcallid: str, reference: str = "") -> bool:
        if not reference:
            return False  # Acme's id of the call is not known yet
        path = f"/calls/{quote(reference, safe='')}/hangup"
        status = self._request("POST", path, within=PATIENCE).status
        if status == 404:
            return False
        if status not in (202, 409):  # 409: it has ended already
            raise NoClearAnswer(f"Acme answered the hang-up with HTTP {status}.")
        return True

    def look_up(self, webcallid: str, reference: str = "") -> ServiceCall | None:
        query = {"customer_ref": webcallid}  # also known if the answer to `place` was lost
        answer = self._request("GET", "/calls", within=PATIENCE, params=query)
        try:
            calls = json.loads(answer.body)["calls"] if answer.status == 200 else None
            found = [call for call in calls if call["customer_ref"] == webcallid]
            if not found:
                return None
            call = _event(found[0])
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            raise NoClearAnswer(f"Acme answered HTTP {answer.status} and no calls.") from error
        return ServiceCall(
            is_over=call.status.is_final,
            status=call.status,
            duration=call.duration or 0,
            cost=call.cost or Decimal(0),
            cause=CAUSES.get(found[0].get("cause"), ""),
        )

    def describe(self, order: Order) -> Sent:
        fields = {name: str(value) for name, value in self._form(order).items()}
        return Sent(f"POST {self.service.url}/calls", fields)

    def parse_event(self, request: HttpRequest) -> WebhookEvent | None:
        self._check_signature(request)
        report = json.loads(request.body)
        return _event(report["call"]) if report["type"] == "call" else None

    def _check_signature(self, request: HttpRequest) -> None:
        """The header is `t=<time>,v1=<HMAC-SHA256 of the time, a point and the body>`."""
        secret = self.options.get("webhook_secret")
        if not secret:
            raise ImproperlyConfigured("Acme's OPTIONS have no webhook_secret.")
        sent_at, _comma, signature = request.headers.get("Acme-Signature", "").partition(",v1=")
        signed_at = sent_at.removeprefix("t=")
        if not (signed_at.isascii() and signed_at.isdigit() and len(signed_at) < 12):
            raise InvalidSignature("it has no time")
        message = signed_at.encode() + b"." + request.body
        right = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace")):
            raise InvalidSignature("it is not signed with the secret")
        if abs(time.time() - int(signed_at)) > AGE:
            raise InvalidSignature("it is too old")

    def _request(self, method: str, path: str, **options: Any) -> Response:
        headers = {"Authorization": f"Bearer {self.service.api_key}"}
        return exchange(self.service, method, self.service.url + path, headers=headers, **options)

    def _form(self, order: Order) -> dict[str, Any]:
        return {
            "from": f"+{order.from_number}",
            "to": f"+{order.to_number}",
            "customer_ref": order.webcallid,
            "webhook": self.webhook_url,
        }


def _read(body: bytes) -> dict[str, Any]:
    """The object in an answer, or nothing if it is cut or not JSON."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _event(call: dict[str, Any]) -> WebhookEvent:
    status = STATUSES[call["state"]]
    duration, cost = int(call["seconds"]), Decimal(call["price"])
    return WebhookEvent(status, call["customer_ref"], call["id"], duration, cost)
