"""The settings of the full chain's Celery worker: as the tests' worker's, with the service's key
and with the caller's side where events reach it.
"""

from __future__ import annotations

import os

from tests.worker_settings import *  # noqa: F403
from tests.worker_settings import POKETALK

POKETALK = {
    **POKETALK,
    "API_KEY": os.environ["WORKER_API_KEY"],
    "EVENT_BASE_URL": os.environ["WORKER_EVENT_BASE_URL"],
}
