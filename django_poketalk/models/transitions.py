"""The rows that the two transitions of every call update: when it is claimed, and when the service
has answered. They are compiled, because building these updates takes longer than their execution.
"""

from __future__ import annotations

from django.db.models import Q

from ..shared.compiled import CompiledUpdate
from .states import Placement

_CALL = "poketalk.CallRequest"
_SENT = Q(placement__in=[Placement.SENDING, Placement.UNKNOWN])
_WITHOUT_ANSWER = Q(placement=Placement.ACCEPTED, placed_at=None)  # an event was first

DUE = CompiledUpdate(
    _CALL, lambda calls, pk, attempts, now: calls.due(now).filter(pk=pk, attempts=attempts)
)
ACCEPTABLE = CompiledUpdate(_CALL, lambda calls, pk: calls.filter(_SENT | _WITHOUT_ANSWER, pk=pk))
REJECTABLE = CompiledUpdate(_CALL, lambda calls, pk: calls.filter(_SENT, pk=pk))
