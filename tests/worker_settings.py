"""Settings of the tests for a Celery worker in another process. Environment variables set its
database, service and broker.
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
