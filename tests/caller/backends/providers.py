"""Fakes of the providers of our backends: a Click-2-Call service, and that of the docs."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.test import Client

from django_poketalk.backends import ServiceCall
from django_poketalk.conf import Settings
from django_poketalk.models import CallRequest
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.testing.backends import FakeProvider, Received, Reply

NEW = ServiceCall(False, CallStatus.A_INITIATED, 0, Decimal(0))


class FakeClick2Call(FakeProvider):
    """A service that only speaks the protocol."""

    can_ask = False

    def service(self) -> dict[str, Any]:
        return {"BACKEND": Settings.backend, "URL": f"{self.url}/click2call", "API_KEY": "s3cret"}

    def is_order(self, request: Received) -> bool:
        return request.path == "/click2call"

    def answer(self, request: Received) -> Reply:
        form = parse_qs(request.body.decode())
        self.calls[form["custom"][0]] = NEW
        return Reply(body=b"00")

    def refusal(self) -> Reply:
        return Reply(body=b"60")


class FakeOwnService(FakeClick2Call):
    """A service with our query API besides."""

    can_ask = True

    def service(self) -> dict[str, Any]:
        return {**super().service(), "CALLS_API": f"{self.url}/api/"}

    def answer(self, request: Received) -> Reply:
        if self.is_order(request):
            return super().answer(request)
        ids = [*self.calls]
        if request.method == "POST":
            self.hung_up.append(ids[int(request.path.split("/")[3]) - 1])
            return Reply(202, b"{}")
        custom = parse_qs(urlsplit(request.path).query)["custom"][0]
        found = [custom] if custom in self.calls else []
        body = {"results": [self._row(each, ids.index(each) + 1) for each in found]}
        return Reply(body=json.dumps(body).encode())

    def _row(self, custom: str, pk: int) -> dict[str, Any]:
        call = self.calls[custom]
        return {
            "id": pk,
            "custom": custom,
            "state": "ended" if call.is_over else "active",
            "status": call.status,
            "duration": call.duration,
            "cost": str(call.cost),
            "hangup_cause": call.cause,
        }


class FakeAcme(FakeProvider):
    """The provider of "Write your own backend"."""

    secret = "webhook secret"
    backend = "acme.AcmeBackend"

    def service(self) -> dict[str, Any]:
        options = {"webhook_secret": self.secret}
        return {"BACKEND": self.backend, "URL": self.url, "API_KEY": "s3cret", "OPTIONS": options}

    def is_order(self, request: Received) -> bool:
        return request.method == "POST" and request.path == "/calls"

    def answer(self, request: Received) -> Reply:
        if self.is_order(request):
            custom = json.loads(request.body)["customer_ref"]
            self.calls[custom] = NEW
            return Reply(201, json.dumps({"id": f"acme-{custom}"}).encode())
        if request.method == "POST":
            self.hung_up.append(request.path.split("/")[2].removeprefix("acme-"))
            return Reply(202)
        custom = parse_qs(urlsplit(request.path).query)["customer_ref"][0]
        found = [self._row(custom, self.calls[custom])] if custom in self.calls else []
        return Reply(body=json.dumps({"calls": found}).encode())

    def refusal(self) -> Reply:
        return Reply(422, b'{"error": "no such number"}')

    def report(
        self, client: Client, call: CallRequest, status: CallStatus, duration: int, cost: Decimal
    ) -> Any:
        body = self._body(call, ServiceCall(status.is_final, status, duration, cost))
        return self._post(client, body, self.sign(body, self.secret))

    def forge(self, client: Client, call: CallRequest, status: CallStatus) -> list[Any]:
        body = self._body(call, ServiceCall(status.is_final, status, 1, Decimal(0)))
        right = self.sign(body, self.secret)
        old = self.sign(body, self.secret, time.time() - 3600)
        forged = [(body, ""), (body, self.sign(body, "guess")), (body + b" ", right), (body, old)]
        return [self._post(client, *each) for each in forged]

    def sign(self, body: bytes, secret: str, at: float | None = None) -> str:
        moment = str(int(time.time() if at is None else at))
        digest = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256)
        return f"t={moment},v1={digest.hexdigest()}"

    def _body(self, call: CallRequest, facts: ServiceCall) -> bytes:
        report = {"type": "call", "call": self._row(call.webcallid, facts)}
        return json.dumps(report).encode()

    def _post(self, client: Client, body: bytes, signature: str) -> Any:
        path = "/poketalk/webhooks/default/"
        headers = {"Acme-Signature": signature}
        return client.post(path, body, "application/json", headers=headers)

    def _row(self, custom: str, call: ServiceCall) -> dict[str, str]:
        from acme import STATUSES

        states = {status: state for state, status in STATUSES.items()}
        return {
            "id": f"acme-{custom}",
            "customer_ref": custom,
            "state": states[call.status],
            "seconds": str(call.duration),
            "price": str(call.cost),
        }
