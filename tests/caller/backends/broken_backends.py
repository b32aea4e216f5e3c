"""Six broken backends, which the suite for backends must find. `test_broken_backends` runs this."""

from __future__ import annotations

import dataclasses
from typing import Any

import requests
from acme import AcmeBackend

from django_poketalk.backends import Answer, Order, Sent, Verdict
from django_poketalk.exceptions import NotConnected
from django_poketalk.testing.backends import BackendSuite

from .providers import FakeAcme


class HastyBackend(AcmeBackend):
    """Sends an order again whatever failed."""

    def place(self, order: Order) -> Answer:
        answer = super().place(order)
        if answer.verdict is Verdict.UNKNOWN:
            raise NotConnected("try again")
        return answer


class CredulousBackend(AcmeBackend):
    """Takes any failure for success."""

    def place(self, order: Order) -> Answer:
        answer = super().place(order)
        if answer.verdict is Verdict.UNKNOWN:
            return dataclasses.replace(answer, verdict=Verdict.ACCEPTED)
        return answer


class FollowingBackend(AcmeBackend):
    """Follows redirects, with the key."""

    def place(self, order: Order) -> Answer:
        answer = requests.post(self.service.url + "/calls", json=self._form(order), timeout=0.4)
        if answer.status_code == 201:
            return Answer(Verdict.ACCEPTED, reference=answer.json()["id"])
        return Answer(Verdict.UNKNOWN)


class TrustingBackend(AcmeBackend):
    """Believes anybody."""

    def _check_signature(self, request: Any) -> None:
        pass


class TalkativeBackend(AcmeBackend):
    """Shows its key."""

    def describe(self, order: Order) -> Sent:
        return Sent("POST", {"api_key": self.service.api_key})


class DeafBackend(AcmeBackend):
    """Says that it hangs up."""

    def hang_up(self, webcallid: str, reference: str = "") -> bool:
        return True


class FakeHasty(FakeAcme):
    backend = f"{__name__}.HastyBackend"


class FakeCredulous(FakeAcme):
    backend = f"{__name__}.CredulousBackend"


class FakeFollowing(FakeAcme):
    backend = f"{__name__}.FollowingBackend"


class FakeTrusting(FakeAcme):
    backend = f"{__name__}.TrustingBackend"


class FakeTalkative(FakeAcme):
    backend = f"{__name__}.TalkativeBackend"


class FakeDeaf(FakeAcme):
    backend = f"{__name__}.DeafBackend"


class TestHasty(BackendSuite):
    provider_class = FakeHasty


class TestCredulous(BackendSuite):
    provider_class = FakeCredulous


class TestFollowing(BackendSuite):
    provider_class = FakeFollowing


class TestTrusting(BackendSuite):
    provider_class = FakeTrusting


class TestTalkative(BackendSuite):
    provider_class = FakeTalkative


class TestDeaf(BackendSuite):
    provider_class = FakeDeaf
