"""A backend for tests, similar to Django's locmem email backend. It sends nothing.

Orders are appended to `outbox`. The answer to each is the next item of `answers`, an `Answer` or an
exception to raise. If `answers` is empty, it is 00. Call `reset()` between tests.
"""

from __future__ import annotations

from ..protocol.codes import ResponseCode
from .base import Answer, BaseBackend, Order, Verdict

outbox: list[Order] = []
answers: list[Answer | Exception] = []


def reset() -> None:
    """Clear all orders and prepared answers."""
    outbox.clear()
    answers.clear()


class LocmemBackend(BaseBackend):
    """Keeps orders in memory."""

    def place(self, order: Order) -> Answer:
        """Return the next prepared answer, or accept the order."""
        outbox.append(order)
        answer = answers.pop(0) if answers else Answer(Verdict.ACCEPTED, ResponseCode.OK, "00")
        if isinstance(answer, Exception):
            raise answer
        return answer
