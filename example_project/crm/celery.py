"""The Celery app: tasks come from the installed apps."""

from __future__ import annotations

import os

from celery import Celery

from . import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

broker.register()
app = Celery("crm")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
