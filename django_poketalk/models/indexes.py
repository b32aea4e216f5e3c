"""The indexes of calls, and why they are as they are.

No index on a column that each event changes: updates by events stay heap-only on PostgreSQL. So how
a call went (`status`) has none. What is rare has a small index of its own, of columns that events
leave alone: to look for it among a million calls must not mean to read them all.
"""

from __future__ import annotations

from django.db.models import Index, Q

IS_UNPLACED = Q(placement__in=["rejected", "unknown", "cancelled", "expired", "failed"])
IS_REFUSED = Q(placement="rejected")
IS_VETOED = ~Q(veto_reason="")
IS_ASKED_TO_END = Q(hangup_requested_at__isnull=False)
IS_STALE = Q(stale_at__isnull=False)


def of_calls(is_open: Q) -> list[Index]:
    """The indexes of `CallRequest`. Where two columns are named, the first has none of its own."""
    return [
        Index(fields=["placement", "sent_at"], name="poketalk_open", condition=is_open),
        Index(fields=["created_at"], name="poketalk_created"),
        Index(fields=["user", "-id"], name="poketalk_by_user"),
        Index(fields=["subject_type", "subject_id", "-id"], name="poketalk_by_subject"),
        Index(fields=["to_number", "created_at"], name="poketalk_by_callee"),
        Index(fields=["from_number"], name="poketalk_by_caller"),
        Index(fields=["placement", "-id"], name="poketalk_unplaced", condition=IS_UNPLACED),
        Index(fields=["response_code", "-id"], name="poketalk_refused", condition=IS_REFUSED),
        Index(fields=["-id"], name="poketalk_vetoed", condition=IS_VETOED),
        Index(fields=["-id"], name="poketalk_asked_to_end", condition=IS_ASKED_TO_END),
        Index(fields=["-id"], name="poketalk_stale", condition=IS_STALE),
    ]
