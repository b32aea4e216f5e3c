"""What can go wrong on the caller's side. Misconfiguration is Django's `ImproperlyConfigured`
instead.
"""

from __future__ import annotations

from typing import Any


class PokeTalkError(Exception):
    """The base of every error of this app."""


class CallRefused(PokeTalkError):
    """A call request was refused before anybody was asked to dial.

    `code` is for machines (e.g. `blacklisted`, `number_invalid`, `too_many_calls`), `str(error)` is
    a sentence for people, `field` names the argument at fault, or is empty.
    """

    def __init__(self, code: str, sentence: Any, field: str = "") -> None:
        super().__init__(code, sentence, field)
        self.code = code
        self.sentence = sentence
        self.field = field

    def __str__(self) -> str:
        return str(self.sentence)


class IdempotencyConflict(PokeTalkError):
    """The idempotency key was used before for a different call."""


class NotConnected(PokeTalkError):
    """The service could not be reached: certainly no byte of the request left, so it may be tried
    again.
    """
