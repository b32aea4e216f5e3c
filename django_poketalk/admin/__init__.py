"""The caller's side in Django's admin: `calls` is the log, `blacklist` what may not be called,
`numbers` the users' own phones.
"""

from . import blacklist, calls, numbers

__all__ = ["blacklist", "calls", "numbers"]
