"""The Celery app: tasks come from the installed apps, the schedule from django-poketalk."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from . import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

broker.register()
app = Celery("crm")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect
def schedule(sender: Celery, **kwargs: Any) -> None:
    """Sweep every few seconds. Imported here, since tasks need the apps to be loaded."""
    from django_poketalk.tasks import BEAT_SCHEDULE

    sender.conf.beat_schedule = BEAT_SCHEDULE
