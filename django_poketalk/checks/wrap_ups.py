"""System checks of the settings for what follows a call."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.core import checks
from django.utils.functional import Promise

from ..conf import settings
from ..models.wrap_ups import KEY_LENGTH

KEY = re.compile(rf"[a-z0-9_-]{{1,{KEY_LENGTH}}}")
MOST_DISPOSITIONS = 30


def check_wrap_ups() -> Iterator[checks.CheckMessage]:
    """E024: dispositions or the delay of a retry are invalid, or a result is required but there are
    none to choose.
    """
    hint = 'Write them in the order of display: {"interested": "Interested", "refused": "Refused"}.'
    for problem in _problems():
        yield checks.Error(problem, hint=hint, id="poketalk.E024")
    if settings.retry_after is not None and not 60 <= settings.retry_after <= 86_400:
        yield checks.Error(
            f"POKETALK['RETRY_AFTER'] is {settings.retry_after}: not between a minute and a day.",
            hint="Set seconds, or None for no offer to try again.",
            id="poketalk.E024",
        )


def _problems() -> Iterator[str]:
    name = "POKETALK['DISPOSITIONS']"
    dispositions = settings.dispositions or {}
    if settings.wrap_up_required and not dispositions:
        yield f"POKETALK['WRAP_UP_REQUIRED'] is True, but {name} has no results to choose."
    if len(dispositions) > MOST_DISPOSITIONS:
        yield f"{name} has {len(dispositions)} results: more than {MOST_DISPOSITIONS}."
    for key, label in dispositions.items():
        if not isinstance(key, str) or not KEY.fullmatch(key):
            yield (
                f"{name}: the key {key!r} is not of up to {KEY_LENGTH} letters a-z, digits, _ or -."
            )
        elif not isinstance(label, (str, Promise)) or not str(label).strip():
            yield f"{name}: the label of {key!r} is not a text."
