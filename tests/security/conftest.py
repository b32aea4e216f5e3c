"""Fixtures for the tests of security."""

from tests.caller.conftest import _empty_outbox, new_call, poketalk, woken
from tests.server.conftest import customer

__all__ = ["_empty_outbox", "customer", "new_call", "poketalk", "woken"]
