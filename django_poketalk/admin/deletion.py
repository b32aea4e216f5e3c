"""What reports lose when calls are deleted, for the pages that ask for confirmation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.utils.formats import number_format

from ..models import CallRequest
from ..presentation import call_status


def lost(calls: QuerySet[CallRequest]) -> dict[str, Any]:
    """The context of `lost_figures.html`: the figures of these calls."""
    total = calls.order_by().aggregate(
        calls=Count("pk"), talk=Sum("final_talk_time"), cost=Sum("cost")
    )
    if not total["calls"]:
        return {}
    return {
        "lost": {
            "calls": total["calls"],
            "count": number_format(total["calls"], force_grouping=True),
            "length": call_status.length(total["talk"]),
            "cost": call_status.column_cost(total["cost"]) or number_format(Decimal(0), 2),
        }
    }
