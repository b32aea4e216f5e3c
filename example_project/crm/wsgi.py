"""The WSGI application, for a server such as gunicorn."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

application = get_wsgi_application()

from crm.deployment import refuse_demo_data  # noqa: E402  # it imports models

refuse_demo_data()
