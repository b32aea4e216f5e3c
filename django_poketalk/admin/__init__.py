"""The admin of the caller's side: calls, the blacklist, and the users' own numbers."""

from . import blacklist, calls, numbers

__all__ = ["blacklist", "calls", "numbers"]
