"""A small CRM with a call button, and the service that rings the phones, in one project."""

from .celery import app as celery_app

__all__ = ["celery_app"]
