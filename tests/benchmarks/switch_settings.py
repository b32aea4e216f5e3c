"""The settings of a measured switch. They set the names of threads in the kernel, so that `/proc`
has the CPU time of each thread by name.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["default"]["CONN_MAX_AGE"] = None
POKETALK_SERVER = {
    "EVENT_NETWORKS": ["127.0.0.0/8"],
    "EVENT_PORTS": [int(os.environ["BENCH_EVENT_PORT"])],
    "SIP_ADDRESS": "127.0.0.1",
    "SIP_PORT": int(os.environ["BENCH_SIP_PORT"]),
    "SIP_CHECK_INTERVAL": int(os.environ.get("BENCH_SIP_CHECK_INTERVAL", "0")),
    "QUEUE_TIMEOUT": 60,
}

_run = threading.Thread.run


def _named(thread: threading.Thread) -> None:
    Path(f"/proc/self/task/{thread.native_id}/comm").write_text(thread.name[:15])
    _run(thread)


threading.Thread.run = _named  # type: ignore[method-assign]
