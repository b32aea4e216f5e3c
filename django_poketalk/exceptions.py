"""The exceptions of the caller's side. Wrong settings raise Django's `ImproperlyConfigured`."""

from __future__ import annotations

from typing import Any


class PokeTalkError(Exception):
    """The base class of this app's exceptions."""


class CallRefused(PokeTalkError):
    """A call was refused before the request was sent to the service.

    `code` is for programs (e.g. `blacklisted`, `number_invalid`, `live_calls`), `str(error)` is
    a sentence for people, and `field` is the name of the argument at fault, or empty.
    """

    def __init__(self, code: str, sentence: Any, field: str = "") -> None:
        super().__init__(code, sentence, field)
        self.code = code
        self.sentence = sentence
        self.field = field

    def __str__(self) -> str:
        return str(self.sentence)


class WrapUpRefused(CallRefused):
    """A wrap-up was not saved, because a value is not valid."""


class VerificationRefused(PokeTalkError):
    """A code to verify a phone was not sent, or not accepted. `code` is for programs, `str(error)`
    is a sentence for people.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class IdempotencyConflict(PokeTalkError):
    """The idempotency key was already used for a different call."""


class NotConnected(PokeTalkError):
    """The service could not be reached. No byte of the request was sent, so it can be retried."""


class InvalidSignature(PokeTalkError):
    """A webhook is not signed by the service, or was altered."""


class NoClearAnswer(PokeTalkError):
    """The service was asked about a call, and did not answer clearly."""
