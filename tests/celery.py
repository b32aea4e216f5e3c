"""The Celery app of the tests: an in-memory broker unless `CELERY_BROKER_URL` names another."""

from celery import Celery

app = Celery("tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()
