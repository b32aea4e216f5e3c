"""Checks that the phones of live calls still respond, by OPTIONS in their dialogs (RFC 3261, 12.2),
and refreshes their sessions (RFC 4028).

A phone that loses its power or network, or a PBX that restarts, sends no BYE. A session lasts 90
seconds at least, so its refreshes alone would find that too late. A phone that does not respond to
OPTIONS is refreshed as often as others are checked, because every phone must respond to that. Only
used in the SIP thread. All times are seconds of `time.monotonic()`.

A switch may have many thousand dialogs. So one timer for all of them looks at those that are due in
this second, and the messages do not pass through sippy's transactions.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django_poketalk.shared.logs import get_logger

from .sippy_patches.random_tokens import RandomTokens
from .user_agent import USER_AGENT, UserAgent

logger = get_logger(__name__)

FIRST = 2  # seconds from the answer to the first check
RESEND = 2  # seconds
GIVE_UP = 24  # seconds without a proof of life after which a phone counts as lost

REFRESH_AGAIN = 10  # seconds from a refresh that failed, or was not possible, to the next one

BRANCH = "z9hG4bKcheck"
RESPONSE = re.compile(
    rb"SIP/2\.0 ([2-6][0-9]{2}) .*?;branch=z9hG4bKcheck([0-9a-f]{16})\b", re.DOTALL
)
TIMEOUT = 408
GONE = frozenset({TIMEOUT, 481})  # these end the dialog (RFC 3261, 12.2.1.2)
# What a proxy may send on behalf of a phone that it cannot reach.
UNCERTAIN = frozenset({477, 500, 502, 503, 504})

OnLost = Callable[[int, float], None]
"""Called with the SIP status and the seconds since the last proof of life."""


@dataclass(slots=True, eq=False)
class DialogCheck:
    """One dialog. `proof` is the time of the last proof of life, which is its answer at first;
    `asked` that of the first unanswered OPTIONS, None if there is none, and `refreshing` that of an
    unanswered refresh.

    `responds`: a peer that has never responded to OPTIONS in this dialog does not support it, and
    cannot be judged by it. It then `ignores_options`.
    """

    agent: UserAgent
    on_lost: OnLost
    proof: float
    due: float
    asked: float | None = None
    token: str = ""
    message: str = ""
    responds: bool = False
    ignores_options: bool = False
    refreshing: float | None = None
    refresh_after: float = 0.0

    @property
    def lost_at(self) -> float:
        """When the phone counts as lost, unless there is a proof of life."""
        session = self.agent.session
        lost_at = [float("inf") if session is None else session.lost_at]
        if self.asked is not None and self.responds:
            lost_at.append(self.asked + GIVE_UP)
        if self.refreshing is not None:
            lost_at.append(self.refreshing + GIVE_UP)
        return min(lost_at)

    def refresh_at(self, interval: int) -> float:
        """When to refresh the session."""
        if self.refreshing is not None:
            return float("inf")
        session = self.agent.session
        due = float("inf") if session is None else session.refresh_at
        if self.ignores_options:
            due = min(due, self.proof + interval)
        return max(due, self.refresh_after)


class DialogChecks:
    """All dialogs of one stack. `interval` is the seconds between two checks of a dialog, 0 for
    none. `transmit` is called with each message and the address of its next hop, and `local` is
    sippy's address of our port.
    """

    def __init__(
        self, interval: int, transmit: Callable[[str, tuple[str, int]], object], local: Any
    ) -> None:
        self._interval = interval
        self._transmit = transmit
        self._local = local
        self._tokens = RandomTokens()
        self._wheel: defaultdict[int, list[DialogCheck]] = defaultdict(list)
        self._open: dict[str, DialogCheck] = {}  # by token
        self._next = int(time.monotonic())

    def __len__(self) -> int:
        return sum(map(len, self._wheel.values()))

    def add(self, agent: UserAgent, on_lost: OnLost) -> None:
        """Check a dialog that has just been answered, until it ends."""
        if self._interval:
            now = time.monotonic()
            self._schedule(DialogCheck(agent, on_lost, proof=now, due=now + FIRST))

    def tick(self) -> None:
        """Send what is due. Call this once a second."""
        now = time.monotonic()
        while self._next <= now:
            checks = self._wheel.pop(self._next, ())
            self._next += 1
            for check in checks:
                self._check(check, now)

    def take_response(self, data: bytes) -> bool:
        """Take a datagram, and return whether it is the final response to a check."""
        found = RESPONSE.match(data)
        if found is None:
            return False
        check = self._open.pop(found[2].decode(), None)
        if check is not None:
            self._judge(check, int(found[1]))
        return True

    def _judge(self, check: DialogCheck, status: int) -> None:
        now = time.monotonic()
        check.token = ""
        if status in UNCERTAIN:
            return  # asked again when it is due
        if status not in GONE:
            check.responds = True
            check.proof, check.asked = now, None
            check.due = now + self._interval
        elif check.responds:
            self._lose(check, status, now)

    def _check(self, check: DialogCheck, now: float) -> None:
        agent = check.agent
        if not agent.isConnected():
            self._open.pop(check.token, None)
            return
        if agent.session is not None:
            check.proof = max(check.proof, agent.session.refreshed)
        if now >= check.lost_at:
            self._open.pop(check.token, None)
            self._lose(check, TIMEOUT, now)
            return
        if agent.owes_ack:
            check.due = max(check.due, now + FIRST)
        elif now >= check.refresh_at(self._interval):
            self._refresh(check, now)
        if now >= check.due:
            self._ask(check, now)
        self._schedule(check)

    def _ask(self, check: DialogCheck, now: float) -> None:
        """Send OPTIONS. A phone that has never responded is asked no longer."""
        if check.asked is not None and now >= check.asked + GIVE_UP:
            self._open.pop(check.token, None)
            check.ignores_options, check.asked = True, None
        if check.ignores_options:
            check.due = now + self._interval
        else:
            self._send(check, now)
            check.due = now + RESEND

    def _refresh(self, check: DialogCheck, now: float) -> None:
        pause = REFRESH_AGAIN if check.agent.session else max(REFRESH_AGAIN, self._interval)
        check.refresh_after = now + pause
        check.refreshing = now
        if not check.agent.refresh(partial(self._judge_refresh, check)):
            check.refreshing = None  # in the middle of a re-INVITE

    def _judge_refresh(self, check: DialogCheck, status: int) -> None:
        now = time.monotonic()
        check.refreshing = None
        if status in GONE:
            self._lose(check, status, now)
        elif status not in UNCERTAIN:
            check.proof = now

    def _send(self, check: DialogCheck, now: float) -> None:
        if check.asked is None:
            check.asked = now
        if not check.token:
            check.token = self._tokens.token_hex(8)
            check.message = self._options(check.agent, check.token)
            self._open[check.token] = check
        address, _transport = check.agent.rAddr
        self._transmit(check.message, address)

    def _lose(self, check: DialogCheck, status: int, now: float) -> None:
        check.on_lost(status, now - check.proof)

    def _schedule(self, check: DialogCheck) -> None:
        due = min(check.due, check.lost_at, check.refresh_at(self._interval))
        self._wheel[max(self._next, int(due) + 1)].append(check)

    def _options(self, agent: UserAgent, token: str) -> str:
        local = self._local
        (host, port), _transport = local
        cseq, agent.lCSeq = agent.lCSeq, agent.lCSeq + 1
        lines = [
            f"OPTIONS {agent.rTarget.localStr(local)} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch={BRANCH}{token}",
            *(f"Route: {route.localStr(local)}" for route in agent.routes or ()),
            "Max-Forwards: 70",
            f"From: {agent.lUri.localStr(local)}",
            f"To: {agent.rUri.localStr(local)}",
            f"Call-ID: {agent.cId}",
            f"CSeq: {cseq} OPTIONS",
            f"Contact: {agent.lContact.localStr(local)}",
            f"User-Agent: {USER_AGENT}",
            "Content-Length: 0",
        ]
        return "\r\n".join([*lines, "", ""])
