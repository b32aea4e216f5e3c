"""What the checks share: the service, the endpoint, and the calls that were observed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import requests
import urllib3

from ..protocol.codes import CallStatus, ResponseCode
from .endpoint import HANG_UP, OK, Answer, CallLog, Endpoint

AWKWARD = "a b&status=8#%$debit+=/?é\"'"  # within the custom of a call
MAX_BODY = 1024  # bytes
PATIENCE = 30  # seconds to wait for the answer to a request


class Failed(Exception):
    """The service breaks a promise of the protocol. The text says which, and what it did."""


class Skipped(Exception):
    """A check cannot be made. The text says why."""


@dataclass(frozen=True)
class Options:
    """What to test, and how long to wait. Times are in real seconds."""

    url: str
    key: str
    from_number: str = "442079460000"
    to_number: str = "442079460099"
    interval: float = 60.0
    patience: float = 90.0
    hang_up_within: float = 10.0
    blacklisted: str = ""
    no_gateway: str = ""
    no_rate: str = ""
    key_without_provider: str = ""
    key_elsewhere: str = ""


@dataclass
class Session:
    """One run. `bodies` has all answers that began like a code: what was asked, and the body."""

    options: Options
    endpoint: Endpoint
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    http: requests.Session = field(default_factory=requests.Session)
    observed: dict[str, CallLog | None] = field(default_factory=dict)

    def ask(self, what: str, **form: str) -> tuple[int, bytes]:
        """Post this form. Returns the HTTP status and the body."""
        with self._send("POST", data=form) as response:
            try:
                body = response.raw.read(MAX_BODY, decode_content=True)
            except urllib3.exceptions.HTTPError as error:
                raise Failed(f"the answer cannot be read: {type(error).__name__}") from error
        if response.status_code == requests.codes.ok and ResponseCode.read(body):
            self.bodies.append((what, body))
        return response.status_code, body

    def get(self) -> int:
        with self._send("GET") as response:
            return response.status_code

    def _send(self, method: str, data: dict[str, str] | None = None) -> requests.Response:
        self.http.trust_env = False
        try:
            return self.http.request(
                method,
                self.options.url,
                data=data,
                timeout=PATIENCE,
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            raise Failed(f"the service did not answer: {type(error).__name__}") from error

    def expect_code(self, code: ResponseCode, what: str, **form: str) -> None:
        """Fail unless the answer to this form is the code, however it is written."""
        status, body = self.ask(what, **form)
        found = ResponseCode.read(body) if status == requests.codes.ok else None
        if found is not code:
            raise Failed(f"{what}: expected {code.value}, but got {describe_answer(status, body)}")

    def form(self, **changes: str) -> dict[str, str]:
        """The form of a call, without EventURL."""
        options = self.options
        numbers = {"from": options.from_number, "to": options.to_number}
        return {"api_key": options.key, **numbers, **changes}

    def call(self, answer: Callable[[CallStatus | None], Answer], custom: str = "") -> CallLog:
        """Request a call, whose events are answered so. Fails if it is not accepted."""
        log = self.endpoint.expect(custom or f"conformance-{secrets.token_hex(6)}", answer)
        form = self.form(custom=log.custom, eventurl=log.eventurl)
        self.expect_code(ResponseCode.OK, "a valid request", **form)
        return log

    @property
    def long_call(self) -> CallLog:
        """A call that is left alone for two ticks, then ended by 412."""
        return self._observed("long call", self._long_call)

    @property
    def rough_call(self) -> CallLog:
        """A call whose events are answered slowly, with errors, and not at all."""
        return self._observed("rough call", self._rough_call)

    def _observed(self, name: str, observe: Callable[[], CallLog]) -> CallLog:
        """The call, which is made once. If that was not possible, the next checks are skipped."""
        if name not in self.observed:
            self.observed[name] = None
            self.observed[name] = observe()
        log = self.observed[name]
        if log is None:
            raise Skipped("the call could not be observed")
        return log

    def _long_call(self) -> CallLog:
        ticks = 0

        def answer(status: CallStatus | None) -> Answer:
            nonlocal ticks
            ticks += status is CallStatus.B_ANSWERED
            return HANG_UP if ticks > 2 else OK

        log = self.call(answer, f"{secrets.token_hex(6)} {AWKWARD}")
        self.wait_for(log, CallStatus.B_ANSWERED)
        options = self.options
        log.wait_until(lambda: log.has_ended, 3.5 * options.interval + options.hang_up_within)
        time.sleep(1.1 * options.interval + 0.5)  # nothing may follow
        return log

    def _rough_call(self) -> CallLog:
        answers = {
            CallStatus.A_INITIATED: Answer(delay=1.5),
            CallStatus.A_ANSWERED: Answer(500),
            CallStatus.B_INITIATED: Answer(0),
            CallStatus.B_ANSWERED: HANG_UP,
        }
        log = self.call(lambda status: answers.get(status, OK) if status else OK)
        log.wait_until(lambda: log.has_ended, self.options.patience)
        return log

    def wait_for(self, log: CallLog, status: CallStatus) -> None:
        """Wait until the call has this status. Skips the check if it ends earlier, or never has."""
        log.wait_until(lambda: log.has_ended or status in log.statuses, self.options.patience)
        if status not in log.statuses:
            raise Skipped(
                f"the call did not reach status {status.value}: its statuses were"
                f" {list_statuses(log.statuses)}. Name phones that answer with --from and --to."
            )


def list_statuses(statuses: Sequence[CallStatus]) -> str:
    return ", ".join(str(status.value) for status in statuses) or "none"


def describe_answer(status: int, body: bytes) -> str:
    return f"HTTP {status} with the body {body[:60]!r}"
