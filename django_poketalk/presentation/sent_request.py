"""The request for a call as the service was sent it, for people to read.

What was sent is not stored: it is made again of the row and today's settings, by the same code that
sends it. Neither the API key nor what would let somebody forge an event is in it.
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
    """The request for this call; its numbers are masked unless they may be seen `whole`.

    None when the backend does not tell what it sends. Raises `ImproperlyConfigured` when today's
    settings don't allow to send anything.
    """
    order = placing.order_of(call)
    return get_backend().shown(
        dataclasses.replace(
            order,
            from_number=_shown(call.from_number, whole),
            to_number=_shown(call.to_number, whole),
            event_url=incoming.hidden_event_url(order.event_url),
        )
    )


def _shown(number: str, whole: bool) -> str:
    """As on the wire, or masked."""
    return numbers.wire(number if whole else permissions.shown_number(number, whole))
