"""The indexes of `CallRequest`.

No index contains a column that every event changes, such as `status`, so that updates by events
stay heap-only on PostgreSQL. Rare states have small partial indexes on columns that events do not
change, so that finding them among a million calls does not require reading all calls.
"""

from __future__ import annotations

from django.db.models import Index, Q

IS_UNPLACED = Q(placement__in=["rejected", "unknown", "cancelled", "expired", "failed"])
IS_REFUSED = Q(placement="rejected")
IS_VETOED = ~Q(veto_reason="")
IS_HANGUP_REQUESTED = Q(hangup_requested_at__isnull=False)
IS_STALE = Q(stale_at__isnull=False)


def of_calls(is_open: Q) -> list[Index]:
    """The indexes of `CallRequest`. A column that begins an index has no other index."""
    return [
        Index(fields=["placement", "sent_at"], name="poketalk_open", condition=is_open),
        Index(fields=["created_at"], name="poketalk_created"),
        Index(fields=["user", "-id"], name="poketalk_by_user"),
        Index(fields=["subject_type", "subject_id", "-id"], name="poketalk_by_subject"),
        Index(fields=["to_number", "created_at"], name="poketalk_by_callee"),
        Index(fields=["from_number", "created_at"], name="poketalk_by_phone"),
        Index(fields=["placement", "-id"], name="poketalk_unplaced", condition=IS_UNPLACED),
        Index(fields=["response_code", "-id"], name="poketalk_refused", condition=IS_REFUSED),
        Index(fields=["-id"], name="poketalk_vetoed", condition=IS_VETOED),
        Index(fields=["-id"], name="poketalk_hangup_requested", condition=IS_HANGUP_REQUESTED),
        Index(fields=["-id"], name="poketalk_stale", condition=IS_STALE),
    ]
