"""The request that was sent to the service for a call, for display.

Sent requests are not stored. This one is made again from the row and the current settings, by the
code that sends requests. It contains neither the API key nor the signature of the EventURL.
"""

from __future__ import annotations

import dataclasses

from .. import permissions
from ..backends import Sent, get_backend
from ..calls import placing
from ..events import incoming
from ..models import CallRequest
from ..protocol import numbers


def request_of(call: CallRequest, whole: bool) -> Sent | None:
    """The request for this call. Its numbers are masked, unless they may be seen `whole`.

    None if the backend does not describe its requests. Raises `ImproperlyConfigured` if no request
    can be sent with the current settings.
    """
    order = placing.order_of(call)
    return get_backend(call.service).describe(
        dataclasses.replace(
            order,
            from_number=_wire_number(call.from_number, whole),
            to_number=_wire_number(call.to_number, whole),
            to_extension=call.to_extension if whole else "•" * len(call.to_extension),
            caller_id=_wire_number(call.presented_number, whole),
            event_url=incoming.hidden_event_url(order.event_url),
        )
    )


def _wire_number(number: str, whole: bool) -> str:
    return numbers.wire(number if whole else permissions.display_number(number, whole))
