"""Runs checks, each in a thread of its own and for a limited time, because any of them can hang:
databases, brokers and hosts do not always refuse a connection, some just never answer.
"""

from __future__ import annotations

import contextvars
import enum
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import total_ordering

from django.db import connection, connections
from django.utils.functional import Promise

SECONDS = 10.0  # the default limit for each check
MARGIN = 0.5  # seconds that a check's own timeouts leave until its time is over


@total_ordering
class Level(enum.Enum):
    """How serious a finding is, from `OK` to `ERROR`."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    def __lt__(self, other: Level) -> bool:
        order = list(Level)
        return order.index(self) < order.index(other)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do about it, "" for nothing. In English, like the messages
    of Django's system checks.
    """

    level: Level
    text: str
    advice: str = ""


def ok(text: str) -> Finding:
    return Finding(Level.OK, text)


def info(text: str, advice: str = "") -> Finding:
    return Finding(Level.INFO, text, advice)


def warning(text: str, advice: str = "") -> Finding:
    return Finding(Level.WARNING, text, advice)


def error(text: str, advice: str = "") -> Finding:
    return Finding(Level.ERROR, text, advice)


@dataclass(frozen=True, slots=True)
class Options:
    """How long a check may take, in seconds, and the numbers of the sample call, "" for those of
    the latest call.
    """

    seconds: float = SECONDS
    from_number: str = field(default="", repr=False)
    to_number: str = field(default="", repr=False)

    @property
    def patience(self) -> float:
        """For how long a check should wait for an answer, so that it can still say who owes it."""
        return max(self.seconds - MARGIN, self.seconds / 2)


@dataclass(frozen=True, slots=True)
class Check:
    """A check. `name` is for programs, `title` for people. `needs` names the checks without which
    it makes no sense: if one of them fails, or takes too long, it is left out. `permission` is
    what a user needs to see its findings in the admin, besides that of the page. `advice` is what
    to do if it raises an exception or does not finish.
    """

    name: str
    title: str | Promise
    find: Callable[[Options], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    permission: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The findings of a check, and how many seconds it took."""

    check: Check
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def level(self) -> Level:
        """That of the most serious finding."""
        return worst(self.findings)


def worst(found: Iterable[Finding | Result]) -> Level:
    """The most serious level, `OK` if there is none."""
    return max((each.level for each in found), default=Level.OK)


def diagnose(checks: Sequence[Check], options: Options) -> Iterator[Result]:
    """The results of all checks, in their order, each as soon as it is known. They run at the same
    time, so that all of them together take `options.seconds`, or twice that where one needs
    another.

    Inside a transaction, such as that of a test case, the checks must use its connection. They then
    run one after the other in this thread, without a time limit.
    """
    runs: dict[str, _Run] = {}
    for check in checks:
        needed = [runs[name] for name in check.needs if name in runs]
        runs[check.name] = _Run(check, options, needed)
    if connection.in_atomic_block:
        for run in runs.values():
            run.work()
            yield run.result()
        return
    for run in runs.values():
        run.start()
    for run in runs.values():
        run.wait()
        yield run.result()


class _Run:
    """One check at work. What it found before it began to hang is kept."""

    _hanging: dict[str, _Run] = {}  # by name: whoever hangs is not joined by another thread

    def __init__(self, check: Check, options: Options, needed: Sequence[_Run]) -> None:
        self.check = check
        self.options = options
        self.needed = needed
        self.found: list[Finding] = []
        self.began = time.monotonic()
        self.until = self.began + options.seconds * (2 if needed else 1)
        self.ended: float | None = None
        self.done = threading.Event()

    def start(self) -> None:
        hanging = self._hanging.get(self.check.name)
        if hanging and not hanging.done.is_set():
            waited = time.monotonic() - hanging.began
            text = f"No answer since {waited:.0f} s, when this was first asked."
            self.found.append(error(text, self.check.advice))
            self._end()
            return
        context = contextvars.copy_context()  # such as the active language
        threading.Thread(
            target=context.run,
            args=(self._work_and_close,),
            name=f"poketalk-doctor-{self.check.name}",
            daemon=True,  # a command ends in spite of it
        ).start()

    def work(self) -> None:
        failed = [each for each in self.needed if each.has_failed()]
        if failed:
            names = ", ".join(each.check.name for each in failed)
            self.found.append(info(f"Not checked, because of: {names}."))
        else:
            self.began = time.monotonic()
            try:
                for finding in self.check.find(self.options):
                    self.found.append(finding)
            except Exception as failure:
                reason = " ".join(str(failure).split())
                self.found.append(error(f"{type(failure).__name__}: {reason}", self.check.advice))
        self._end()

    def has_failed(self) -> bool:
        """Whether this check found an error, or did not finish in time."""
        self.wait()
        return not self.done.is_set() or worst(self.found) is Level.ERROR

    def wait(self) -> None:
        if not self.done.wait(max(0.0, self.until - time.monotonic())):
            self._hanging[self.check.name] = self

    def result(self) -> Result:
        findings = [*self.found]
        if self.ended is None:
            waited = time.monotonic() - self.began
            findings.append(error(f"No answer within {waited:.0f} s.", self.check.advice))
        seconds = (self.ended or time.monotonic()) - self.began
        return Result(self.check, tuple(findings), seconds)

    def _work_and_close(self) -> None:
        try:
            self.work()
        finally:
            connections.close_all()  # those of this thread

    def _end(self) -> None:
        self.ended = time.monotonic()
        self.done.set()
