"""Settings of the Celery worker of the end-to-end test.

They add the service's API key and the base URL of EventURLs to the tests' worker settings.
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
