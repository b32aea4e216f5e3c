"""The schedule for Celery beat: `CELERY_BEAT_SCHEDULE = {**BEAT_SCHEDULE}` in the settings.

This module imports nothing of Django, so that settings can import it. Without Celery beat, run
`manage.py poketalk_sweep`.
"""

from __future__ import annotations

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "poketalk-sweep": {"task": "poketalk.sweep", "schedule": 10.0, "options": {"expires": 10.0}},
    "poketalk-forget-old-numbers": {"task": "poketalk.forget_old_numbers", "schedule": 24 * 3600.0},
    "poketalk-count-calls": {"task": "poketalk.count_calls", "schedule": 3600.0},
}
