"""Fixes for the defects of sippy 2.5.0 that affect calls: each file describes one and fixes it.

Some files change sippy itself (`install`), others override methods in subclasses that
`user_agent.py` and `stack.py` use. `test_sippy_patches.py` has a test for each that fails once
sippy has fixed the defect. Import these files only in the SIP thread, except this one
and `dispatcher`.
"""

from __future__ import annotations

from .dispatcher import Dispatcher
from .dispatcher import install as install_dispatcher


def install() -> Dispatcher:
    """Patch sippy in this process. Call this once, in the SIP thread."""
    from . import (
        broken_messages,
        clock,
        local_addresses,
        random_tokens,
        request_methods,
        standard_output,
    )

    for patch in (
        clock,
        random_tokens,
        local_addresses,
        standard_output,
        broken_messages,
        request_methods,
    ):
        patch.install()
    return install_dispatcher()
