"""What must never be stored in a `CallRequest`."""

from __future__ import annotations

from django.db.models import BaseConstraint, CheckConstraint, Q

from ..protocol.codes import ResponseCode
from .states import Placement

CONSTRAINTS: list[BaseConstraint] = [
    CheckConstraint(condition=Q(placement__in=Placement.values), name="poketalk_placement_known"),
    CheckConstraint(
        condition=Q(status=None) | Q(status__range=(0, 8)), name="poketalk_status_known"
    ),
    CheckConstraint(condition=Q(cost__gte=0), name="poketalk_cost_not_negative"),
    CheckConstraint(condition=Q(max_duration__gte=1), name="poketalk_max_duration_positive"),
    CheckConstraint(
        condition=Q(max_cost=None) | Q(max_cost__gte=0),
        name="poketalk_max_cost_not_negative",
    ),
    CheckConstraint(
        condition=~Q(placement=Placement.REJECTED) | ~Q(response_code=ResponseCode.OK),
        name="poketalk_rejected_is_not_ok",
    ),
]
