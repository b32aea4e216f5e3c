"""The defects of sippy 2.5.0 that calls meet, one in each file: what is wrong, where, and the cure.

Some files change sippy itself (`install`), others override methods in subclasses that
`user_agent.py` and `stack.py` use. `test_sippy_patches.py` has a test for each that fails once
sippy has fixed the defect. Only ever imported in the SIP thread, but for this file and
`dispatcher`.
"""

from __future__ import annotations

from .dispatcher import Dispatcher
from .dispatcher import install as install_dispatcher


def install() -> Dispatcher:
    """Change the sippy of this process. Call this once, in the SIP thread."""
    from . import clock, local_addresses, random_tokens, standard_output

    for patch in (clock, random_tokens, local_addresses, standard_output):
        patch.install()
    return install_dispatcher()
