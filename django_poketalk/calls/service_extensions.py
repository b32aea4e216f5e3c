"""Notices about what the service cannot do for a call, displayed before a phone rings."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ..conf import service
from ..models import CallRequest
from ..protocol.form_extensions import TO_EXTENSION


def undialed(call: CallRequest) -> str:
    """The notice if the call's service does not dial the callee's extension, else ""."""
    extension = call.to_extension
    if not extension or TO_EXTENSION in service(call.service).service_extensions:
        return ""
    sentence = _(
        "The service does not dial extension %(extension)s. Dial it yourself when the call is"
        " answered."
    )
    return sentence % {"extension": extension}
