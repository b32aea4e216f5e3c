"""The admin of the caller's side: calls, the blacklist, the users' own phones, and health."""

from . import blacklist, call_backs, calls, health, phones

__all__ = ["blacklist", "call_backs", "calls", "health", "phones"]
