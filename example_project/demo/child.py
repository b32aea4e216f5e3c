"""Runs a Python module as a child process that does not outlive its parent: `python -m demo.child
MODULE [ARGUMENT ...]`.

The parent holds the other end of this process's standard input. When the parent ends, however that
happens, standard input ends, and so does this process.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

GRACE = 5.0  # seconds for an orderly end once the parent is gone


def main() -> None:
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


if __name__ == "__main__":
    main()
