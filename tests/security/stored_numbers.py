"""Rows with numbers in every place where either half can store them, and a search of the whole
database for them.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone

from django_poketalk.models import (
    BlacklistedNumber,
    CallBack,
    CallEvent,
    CallMetadata,
    CallRequest,
    Phone,
    Placement,
    VerificationCode,
    WrapUp,
)
from django_poketalk.server.models import (
    ApiKey,
    Call,
    EventDelivery,
    LedgerEntry,
    Leg,
    PresentedNumber,
    TestCall,
)
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.monitoring.heartbeat import GatewayView
from tests.server.conftest import Customer

CALLER, CALLEE, PRESENTED = "+442079460700", "+442079460123", "+442079460999"
ALL = (CALLER, CALLEE, PRESENTED)
TEXT = (
    "No: 0044 (0)20/7946-0123; +44\u202f20\u202f7946\u202f0700, 442079460999, 020‑7946‑0123"
    ", 020_7946_0123, 020:7946:0123, 44+20+7946+0700, 020·7946·0999"
)
# Marks and digits that only a search for this number finds.
ODD_TEXT = "020~7946~0123, 020‖7946‖0123, ०२०७९४६०१२३, ٠٢٠٧٩٤٦٠١٢٣"
METADATA = {
    "text": TEXT,
    "phone": int(CALLEE[1:]),
    "phones": [{"mobile": int(CALLER[1:])}, float(PRESENTED[1:])],
    "price": 1234567.5,
    "paid": True,
}
OLD = timezone.now() - timedelta(days=31)


def anna() -> Any:
    return get_user_model().objects.get_or_create(username="anna")[0]


def old_request(**changes: Any) -> CallRequest:
    """An old call of the caller's side that has ended, with its events, history and so on."""
    facts = {
        "from_number": CALLER,
        "to_number": CALLEE,
        "to_extension": "1234567",
        "presented_number": PRESENTED,
        "placement": Placement.REJECTED,
        "response_detail": TEXT,
        "veto_reason": TEXT,
        "max_duration": 60,
        "expires_at": OLD,
        "created_at": OLD,
    }
    call = CallRequest.objects.create(**facts | changes)
    CallEvent.objects.create(call=call, status=7, answer=412, reason=TEXT)
    WrapUp.objects.create(call=call, note=TEXT)
    CallMetadata.objects.create(call=call, data=METADATA)
    CallBack.objects.create(
        user=anna(), to_number=CALLEE, note=TEXT, metadata=METADATA, due_at=OLD, after=call
    )
    write_history(call)
    return call


def expired_entry() -> BlacklistedNumber:
    entry = BlacklistedNumber.objects.create(number=CALLEE, reason=TEXT, until=OLD)
    write_history(entry)
    return entry


def old_call(customer: Customer, **changes: Any) -> Call:
    """An old call of the service that has ended, with its legs, deliveries and so on."""
    facts = {
        "from_number": CALLER[1:],
        "to_number": CALLEE[1:],
        "to_extension": "1234567",
        "presented_number": PRESENTED[1:],
        "eventurl": f"https://crm.example.com/events?to={CALLEE[1:]}",
        "state": Call.State.ENDED,
        "custom": f"order 17 for {CALLEE}",
        "created_at": OLD,
    }
    call = customer.new_call(**facts | changes)
    call.save()
    for side, number in (("A", CALLER), ("B", CALLEE)):
        Leg.objects.create(
            call=call,
            side=side,
            number=number[1:],
            dialog=f'{{"to": "sip:{number}@example.com"}}',
            price_per_minute=1,
            connect_fee=0,
            initial_increment=1,
            subsequent_increment=1,
        )
    EventDelivery.objects.create(
        call=call, sequence=1, status=8, duration=9, cost=1, sent_at=OLD, seconds=1, error=TEXT
    )
    TestCall.objects.create(
        gateway=customer.gateway, number=CALLEE[1:], state=TestCall.State.ENDED, created_at=OLD
    )
    LedgerEntry.objects.update(created_at=OLD, note=TEXT)
    write_history(call)
    return call


def write_history(row: Any) -> None:
    entry = LogEntry.objects.create(
        user=anna(),
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=f"to {CALLEE}",
        action_flag=CHANGE,
        change_message=TEXT,
    )
    LogEntry.objects.filter(pk=entry.pk).update(action_time=OLD)


def own_phone() -> Phone:
    VerificationCode.objects.create(user=anna(), number=CALLEE)
    return Phone.objects.create(user=anna(), number=CALLEE)


def labels(customer: Customer) -> None:
    """Texts with a number in them that belong to no call."""
    text = f"Desk, or {CALLEE}"
    Phone.objects.create(user=anna(), number=CALLER, label=text)
    PresentedNumber.objects.create(account=customer.account, number="12025550188", label=text)
    ApiKey.objects.update(label=text)
    heartbeat.beat("office", 1, [GatewayView(customer.gateway.pk, "", "", OLD, text)])


def places(*numbers: str) -> set[str]:
    """The columns, as `table.column`, of all tables of the database that contain one of these
    numbers: its digits without the country code, of any script, in any grouping.
    """
    patterns = [re.compile(r"\D{0,3}".join(number[3:])) for number in numbers or ALL]
    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for column, value in zip(columns, row, strict=True):
                    if any(pattern.search(_ascii(value)) for pattern in patterns):
                        found.add(f"{table}.{column}")
    return found


def _ascii(value: Any) -> str:
    """The value as a text whose digits are all ASCII."""
    return re.sub(r"\d", lambda digit: str(int(digit[0])), str(value))
