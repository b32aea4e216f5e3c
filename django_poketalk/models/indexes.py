"""The indexes of `CallRequest`.

No index contains a column that every event changes, such as `status`, so that updates by events
stay heap-only on PostgreSQL. Rare states have small partial indexes on columns that events do not
change, so that finding them among a million calls does not require reading all calls. The index of
open calls begins with the columns of its condition, because MariaDB ignores conditions. Its
condition has `final_status`, because PostgreSQL estimates the rows of an index by its condition.
"""

from __future__ import annotations

from django.db.models import Index, Q

from ..protocol.codes import CallStatus

IS_UNPLACED = Q(
    placement__in=["rejected", "unknown", "cancelled", "expired", "failed", "forbidden"]
)
IS_REFUSED = Q(placement="rejected")
IS_VETOED = ~Q(veto_reason="")
IS_HANGUP_REQUESTED = Q(hangup_requested_at__isnull=False)
IS_STALE = Q(stale_at__isnull=False)
# Calls that ended before the callee was called
IS_UNDIALED = Q(final_status__in=[CallStatus.A_FAILED.value, CallStatus.A_DISCONNECTED.value])
# The calls of the default service are usually all calls, and found without an index.
IS_OF_ANOTHER_SERVICE = ~Q(service="default")
HAS_REFERENCE = ~Q(reference="")


def of_calls(are_open: Q) -> list[Index]:
    """The indexes of `CallRequest`. A column that begins an index has none of its own."""
    return [
        Index(
            fields=["ended_at", "stale_at", "placement", "sent_at"],
            name="poketalk_open",
            condition=are_open,
        ),
        Index(fields=["created_at"], name="poketalk_created"),
        Index(fields=["rings_at"], name="poketalk_rings"),
        Index(fields=["user", "-id"], name="poketalk_by_user"),
        Index(fields=["user", "rings_at"], name="poketalk_rings_of_user"),
        Index(fields=["subject_type", "subject_id", "-id"], name="poketalk_by_subject"),
        Index(fields=["to_number", "rings_at"], name="poketalk_by_callee"),
        Index(fields=["from_number", "rings_at"], name="poketalk_by_phone"),
        Index(fields=["placement", "-id"], name="poketalk_unplaced", condition=IS_UNPLACED),
        Index(fields=["response_code", "-id"], name="poketalk_refused", condition=IS_REFUSED),
        # All vetoed calls, and those vetoed for one reason or for none of some
        Index(fields=["-id", "veto_reason"], name="poketalk_vetoed", condition=IS_VETOED),
        Index(fields=["veto_reason", "-id"], name="poketalk_veto_reason", condition=IS_VETOED),
        Index(fields=["-id"], name="poketalk_hangup_requested", condition=IS_HANGUP_REQUESTED),
        Index(fields=["-id"], name="poketalk_stale", condition=IS_STALE),
        Index(fields=["service", "-id"], name="poketalk_service", condition=IS_OF_ANOTHER_SERVICE),
        Index(fields=["final_status", "-id"], name="poketalk_undialed", condition=IS_UNDIALED),
        Index(fields=["final_cost", "id"], name="poketalk_final_cost"),
        Index(fields=["final_talk_time", "id"], name="poketalk_final_talk"),
        Index(fields=["reference"], name="poketalk_reference", condition=HAS_REFERENCE),
    ]
