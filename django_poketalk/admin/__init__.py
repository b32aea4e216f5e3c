"""The admin of the caller's side: calls, the blacklist, and the users' own phones."""

from . import blacklist, calls, phones

__all__ = ["blacklist", "calls", "phones"]
