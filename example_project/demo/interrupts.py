"""Ctrl-C and SIGTERM as an exception that is raised once, in this program alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` on the first signal and ignore later ones, so that the program can stop
    in an orderly way.
    """
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def own_foreground() -> Iterator[None]:
    """Keep the terminal's Ctrl-C from the program that started this one, such as tox, which would
    report a failure. Ctrl-Z does nothing: the shell would not notice it.
    """
    taken = _take_terminal()
    try:
        yield
    finally:
        if taken is not None:
            os.tcsetpgrp(*taken)


def _take_terminal() -> tuple[int, int] | None:
    """Put this program into the foreground of its terminal, without the one that started it.
    Returns the terminal and the process group that had it; None if nothing changed.
    """
    with suppress(AttributeError, OSError):  # another system, or no terminal
        terminal = os.open("/dev/tty", os.O_RDWR)
        group = os.tcgetpgrp(terminal)
        if group == os.getpgrp() != os.getpid():
            for number in (signal.SIGTTOU, signal.SIGTSTP):
                signal.signal(number, signal.SIG_IGN)
            os.setpgid(0, 0)
            os.tcsetpgrp(terminal, os.getpgrp())
            return terminal, group
    return None


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted
