"""The caller's side in Django's admin: `calls` is the log, `numbers` what may be called."""

from . import calls, numbers

__all__ = ["calls", "numbers"]
