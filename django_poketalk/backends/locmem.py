"""A backend for your tests, in the manner of Django's locmem mail: nothing leaves the process.

Orders land in `outbox`. Each is answered by the next of `answers` (an `Answer`, or an exception to
raise), or, when that is empty, with 00. Call `reset()` between tests.
"""

from __future__ import annotations

from ..protocol.codes import ResponseCode
from .base import Answer, BaseBackend, Order, Verdict

outbox: list[Order] = []
answers: list[Answer | Exception] = []


def reset() -> None:
    """Forget all orders and prepared answers."""
    outbox.clear()
    answers.clear()


class LocmemBackend(BaseBackend):
    """Keeps orders in memory."""

    def place(self, order: Order) -> Answer:
        """Answer as prepared, else accept."""
        outbox.append(order)
        answer = answers.pop(0) if answers else Answer(Verdict.ACCEPTED, ResponseCode.OK, "00")
        if isinstance(answer, Exception):
            raise answer
        return answer
