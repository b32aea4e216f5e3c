"""Places the call of each case, prints a table, and counts the differences."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import TextIO

from django.conf import settings
from django.test import override_settings

from contacts import demo_data
from django_poketalk.server.models import Account, LedgerEntry

from .attempts import Attempt
from .cases import ELSEWHERE, ORPHANED, Case, cases
from .visitor import Visitor

AT_ONCE = 8  # cases at a time; cases that hang up run alone
LOOK_EVERY = 0.03  # seconds
WIDTHS = (43, 31, 31, 8)


class Check:
    """A run of all cases. `watch` is called in each round, and raises if a child process has died;
    `explain` returns the text to print if a case failed.
    """

    def __init__(self, out: TextIO, watch: Callable[[], None], explain: Callable[[], str]) -> None:
        self._out = out
        self._watch = watch
        self._explain = explain
        self.passed = 0
        self.failed = 0

    def run(self) -> None:
        """Place all calls, wait until they end, and print a line for each."""
        keys = _accounts()
        visitor = Visitor(settings.SITE_URL)
        visitor.log_in("demo", "demo")
        self._line("Outcome: response code, final status, hang-up cause (reason for answering 412)")
        self._line("what", "expected", "seen", "seconds")
        unlimited = {"LIVE_CALLS_PER_USER": None, "CALLS_PER_HOUR_PER_CALLEE": None}
        account = Account.objects.filter(name=demo_data.ACCOUNT)
        limit = account.values("max_calls_per_second").get()
        account.update(max_calls_per_second=None)
        try:
            with override_settings(POKETALK={**settings.POKETALK, **unlimited}):
                self._run_cases(keys, visitor)
        finally:
            account.update(**limit)
        self._check_ledger()
        if self.failed:
            self._line(self._explain())
        self._line(f"{self.passed} passed, {self.failed} failed")

    def _run_cases(self, keys: dict[str, str], visitor: Visitor) -> None:
        waiting = deque(cases())
        running: list[Attempt] = []
        while waiting or running:
            self._watch()
            while waiting and len(running) < (1 if waiting[0].hang_up else AT_ONCE):
                running.append(Attempt(waiting.popleft(), keys, visitor))
            for attempt in list(running):
                if attempt.look():
                    running.remove(attempt)
                    self._report(attempt.case, attempt.seen, attempt.seconds)
            time.sleep(LOOK_EVERY)

    def _check_ledger(self) -> None:
        """No money is held, and the balance is the sum of all entries."""
        account = Account.objects.get(name=demo_data.ACCOUNT)
        # Added up in Python: SQLite adds in floats.
        amounts = LedgerEntry.objects.filter(account=account).values_list("amount", flat=True)
        gap = account.balance - sum(amounts, Decimal(0))
        self._verdict(
            "The account's ledger, after all calls",
            "0.000 held, 0.000 unaccounted",
            f"{account.held:.3f} held, {gap:.3f} unaccounted",
            "",
        )

    def _report(self, case: Case, seen: str, seconds: float) -> None:
        self._verdict(case.what, str(case.expected), seen, f"{seconds:.1f}")

    def _verdict(self, what: str, expected: str, seen: str, seconds: str) -> None:
        if expected == seen:
            self.passed += 1
        else:
            self.failed += 1
        self._line(what, expected, seen, seconds, "ok" if expected == seen else "DIFFERS")

    def _line(self, *cells: str) -> None:
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=False)]
        self._out.write(" ".join([*padded, *cells[len(WIDTHS) :]]).rstrip() + "\n")
        self._out.flush()


def _accounts() -> dict[str, str]:
    """Accounts that are refused for one reason each, and a key for each of them and for the CRM's
    own.
    """
    served = Account.objects.get(name=demo_data.ACCOUNT)
    provider, prices = served.provider, served.price_list
    accounts = [
        demo_data.open_account(demo_data.ACCOUNT, provider, prices, "127.0.0.1/32"),
        demo_data.open_account(ORPHANED, None, prices, "127.0.0.1/32"),
        demo_data.open_account(ELSEWHERE, provider, prices, "203.0.113.7/32"),
    ]
    return {account.name: demo_data.issue_key(account, "check, by hand") for account in accounts}
