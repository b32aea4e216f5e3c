"""Notices about what the service cannot do for a call, displayed before a phone rings."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ..conf import settings
from ..protocol.form_extensions import TO_EXTENSION


def undialed(extension: str) -> str:
    """The notice if the service does not dial the callee's extension, else ""."""
    if not extension or TO_EXTENSION in settings.service_extensions:
        return ""
    sentence = _(
        "The service does not dial extension %(extension)s. Dial it yourself when the call is"
        " answered."
    )
    return sentence % {"extension": extension}
