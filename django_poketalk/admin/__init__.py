"""The admin of the caller's side: calls, call backs, the blacklist, phones, and health."""

from . import blacklist, call_backs, calls, health, phones

__all__ = ["blacklist", "call_backs", "calls", "health", "phones"]
