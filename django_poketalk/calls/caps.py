"""The limits on calls in total: how many ring in an hour, are open, and what they cost in a day.
Some count the calls of a user, of a number, or of the call's service.

A call counts when its phones ring: when it is sent, or when it is due if it is scheduled. It takes
its place when it is requested, or, if it is scheduled, when it is sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache, reduce
from operator import or_
from typing import Any

from django.db import connections, router
from django.db.models import Case, DecimalField, F, Func, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import OWN_LIMITS, service, settings
from ..models import CallRequest, CapLock
from ..shared.compiled import CompiledQuery
from ..shared.periods import midnight

HOUR = timedelta(hours=1)
CLOCKS = timedelta(minutes=1)  # how much the clocks of this site's hosts may differ
MILLIONTH = Decimal("0.000001")  # of the currency: the precision of the columns

# The caps by the calls that they count: those that are live, of the last hour, and of the day. A
# scheduled call waits while one of the first is reached, and is refused for the others.
OF_LIVE = ("live_calls_per_user", "live_calls", "service_live_calls")
OF_HOUR = (
    "calls_per_hour_per_user",
    "calls_per_hour_per_callee",
    "calls_per_hour_per_caller_phone",
    "calls_per_hour",
    "service_calls_per_hour",
)
OF_MONEY = ("spend_per_day_per_user", "spend_per_day", "service_spend_per_day")

PARTS = {"live": OF_LIVE, "hour": OF_HOUR, "day": OF_MONEY}

# The same by whose calls they count
OF_USERS = ("live_calls_per_user", "calls_per_hour_per_user", "spend_per_day_per_user")
OF_NUMBERS = ("calls_per_hour_per_callee", "calls_per_hour_per_caller_phone")
OF_ALL = ("live_calls", "calls_per_hour", "spend_per_day")
OF_SERVICE = tuple(f"service_{name}" for name in OWN_LIMITS)

NOTHING = Value(0, output_field=DecimalField())

_TOO_MANY = _("Too many calls in the last hour. Try again later.")
_SPENT = _("Today’s budget for calls is used up.")
SENTENCES = {  # in the order in which they refuse a call
    "live_calls_per_user": _("You already have a call in progress."),
    "calls_per_hour_per_user": _TOO_MANY,
    "spend_per_day_per_user": _SPENT,
    "calls_per_hour_per_callee": _("This number was called too often in the last hour."),
    "calls_per_hour_per_caller_phone": _(
        "Your phone was rung too often in the last hour. Try again later."
    ),
    "live_calls": _("All lines are busy. Try again in a moment."),
    "calls_per_hour": _TOO_MANY,
    "spend_per_day": _SPENT,
    "service_live_calls": _("All lines of this service are busy. Try again in a moment."),
    "service_calls_per_hour": _(
        "Too many calls by this service in the last hour. Try again later."
    ),
    "service_spend_per_day": _("Today’s budget for calls by this service is used up."),
}


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit on calls in total that is set.

    `name` is the name of the setting in lower case, with `service_` before it for a limit of the
    call's service. It is also the code of the refusal. `used` is the current count, in calls
    (`int`) or money (`Decimal`).
    """

    name: str
    limit: int | Decimal
    used: int | Decimal

    @property
    def sentence(self) -> str:
        """The reason for people, once it is reached."""
        return str(SENTENCES[self.name])

    @property
    def is_own(self) -> bool:
        """Whether it only counts the calls of the user who requests the call."""
        return self.name in OF_USERS

    @property
    def left(self) -> int | Decimal:
        """How much is left, at least zero."""
        return max(self.limit - self.used, type(self.limit)(0))

    @property
    def is_reached(self) -> bool:
        return self.used >= self.limit


def caps(call: CallRequest, *, lock: bool = False) -> Iterator[Cap]:
    """The caps that apply to this call when its phones ring. All are counted, in one statement,
    when the first one is requested. The call itself does not count. How many calls are open is only
    known now, so these caps do not apply to a scheduled call before it is sent.

    With `lock`, all transactions that count the same calls wait until this one ends, so that
    concurrent requests cannot exceed a cap.
    """
    is_sent_later = call.is_scheduled and call.pk is None
    limits = {
        name: limit
        for name, limit in _limits(call)
        if not (name in OF_USERS and call.user is None) and not (name in OF_LIVE and is_sent_later)
    }
    if not limits:
        return
    if lock:
        CapLock.take(sorted({*_locks(call, limits)}))
    used = _count(call, tuple(limits))
    for name, limit in limits.items():
        yield Cap(name, limit, _number(name, used[name]))


def _locks(call: CallRequest, names: Collection[str]) -> Iterator[int]:
    """The numbers of the locks: 0 for all calls, and slots that users and numbers share."""
    if not {*OF_ALL, *OF_SERVICE}.isdisjoint(names):
        yield 0
    if call.user is not None and not {*OF_USERS}.isdisjoint(names):
        yield 1 + _slot(str(call.user.pk))
    if not {*OF_NUMBERS}.isdisjoint(names):
        yield 1 + CapLock.SLOTS + _slot(call.from_number)
        yield 1 + CapLock.SLOTS + _slot(call.to_number)


def _slot(name: str) -> int:
    return zlib.crc32(name.encode()) % CapLock.SLOTS


def _limits(call: CallRequest) -> Iterator[tuple[str, int | Decimal]]:
    """The caps that are set: those on all calls, and those of the call's service."""
    own = service(call.service)
    for name in SENTENCES:
        limit: int | Decimal | None = (
            getattr(own, name.removeprefix("service_"))
            if name in OF_SERVICE
            else getattr(settings, name)
        )
        if limit is not None:
            yield name, limit


def _count(call: CallRequest, names: tuple[str, ...]) -> dict[str, Decimal | None]:
    """How much of these caps is used: the count, or the sum, or None for the sum of no calls."""
    using = router.db_for_write(CallRequest)
    starts = midnight(timezone.localtime(call.rings_at).date())
    user = CallRequest._meta.get_field("user").get_db_prep_save(
        call.user and call.user.pk, connections[using]
    )
    arguments = (
        *(call.pk or -1, user, call.from_number, call.to_number, call.service),
        *(call.rings_at - HOUR, call.rings_at + CLOCKS, starts),
    )
    used: dict[str, Decimal | None] = {}
    for part, *numbers in _query(names).rows(*arguments, using=using):
        used |= zip(_of(part, names), numbers, strict=False)
    return used


def _of(part: str, names: tuple[str, ...]) -> list[str]:
    """Those of the caps that count this part of the calls, in the order of the columns."""
    return [name for name in PARTS[part] if name in names]


@cache
def _query(names: tuple[str, ...]) -> CompiledQuery:
    """The statement that returns a row for each part of the calls: how much of its caps is used.

    On PostgreSQL, the time to plan it is that of its parts, so it has few.
    """

    def build(
        pk: Any,
        user: Any,
        from_number: Any,
        to_number: Any,
        alias: Any,
        hour_ago: Any,
        until: Any,
        starts: Any,
    ) -> QuerySet[CallRequest, Any]:
        others = CallRequest.objects.order_by().exclude(pk=pk)
        calls = {
            "live": others.live(),
            "hour": others.ringing_after(hour_ago).filter(rings_at__lt=until),
            "day": others.filter(rings_at__gte=starts),
        }
        whose = {
            **dict.fromkeys(OF_USERS, Q(user=user)),
            "calls_per_hour_per_callee": Q(to_number=to_number),
            "calls_per_hour_per_caller_phone": Q(from_number=from_number)
            | Q(to_number=from_number),
            **dict.fromkeys(OF_SERVICE, Q(service=alias)),
        }
        rows = []
        for part, among in calls.items():
            if own := _of(part, names):
                columns = [_used(name, whose.get(name)) for name in own]
                unused = [NOTHING] * (len(OF_HOUR) - len(own))
                if not {*own}.intersection(OF_ALL + OF_SERVICE):  # which count most calls
                    among = among.filter(reduce(or_, [whose[name] for name in own]))
                rows.append(among.values_list(Value(part), *columns, *unused))
        return rows[0].union(*rows[1:], all=True).order_by() if rows[1:] else rows[0]

    return CompiledQuery(build)


def _used(name: str, whose: Q | None) -> Func:
    """The column that counts the calls, or sums their costs. It is not an aggregate of the ORM, so
    that there is one row. All columns have one type, as those of a union must.
    """
    function, value = ("SUM", F("cost")) if name in OF_MONEY else ("COUNT", Value(1))
    counted = value if whose is None else Case(When(whose, then=value))
    return Func(counted, function=function, output_field=DecimalField())


def _number(name: str, used: Decimal | None) -> int | Decimal:
    """The count, or the sum. SQLite sums decimals as floats."""
    return (used or Decimal(0)).quantize(MILLIONTH) if name in OF_MONEY else int(used or 0)
