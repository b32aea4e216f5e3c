"""The tests' settings for a Celery worker in a process of its own, told by its environment where to
work.
"""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, POKETALK

DATABASES["default"]["NAME"] = os.environ["WORKER_DATABASE_NAME"]
POKETALK = {
    **POKETALK,
    "BACKEND": "django_poketalk.backends.click2call.Click2CallBackend",
    "URL": os.environ["WORKER_SERVICE_URL"],
}
CELERY_BROKER_URL = os.environ["WORKER_BROKER_URL"]
