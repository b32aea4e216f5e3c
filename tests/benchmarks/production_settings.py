"""The settings of the tests, with the options for the database that docs/howto/production.md
recommends. `BENCH_UNPREPARED` in the environment leaves out those for prepared statements.
"""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["default"]["CONN_MAX_AGE"] = None
if "postgresql" in str(DATABASES["default"]["ENGINE"]) and "BENCH_UNPREPARED" not in os.environ:
    DATABASES["default"]["OPTIONS"] = {"server_side_binding": True, "prepare_threshold": 5}
