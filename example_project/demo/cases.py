"""The cases of `demo --check`, and their expected outcomes."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from contacts import demo_data
from django_poketalk.events.vetoes import MAX_COST, MAX_DURATION
from django_poketalk.models import Placement
from django_poketalk.protocol.codes import CallStatus, ResponseCode


class Moment(enum.Enum):
    """When the hang-up is requested."""

    WAITING = "before it is sent"
    RINGING_A = "while leg A rings"
    RINGING_B = "while leg B rings"
    TALKING = "while both talk"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call request ends: its placement and, if the call was made, its final status, the
    hang-up cause that the service reports, and our reason for answering 412.
    """

    placement: str
    code: str = ""
    status: CallStatus | None = None
    cause: str = ""
    veto: str = ""

    def __str__(self) -> str:
        if self.placement != Placement.ACCEPTED:
            return f"{self.placement} {self.code}".strip()
        status = "no status" if self.status is None else str(self.status.value)
        return f"{self.code} {status} {self.cause}" + (f" ({self.veto})" if self.veto else "")


@dataclass(frozen=True, slots=True)
class Case:
    """A call to place. Numbers are E.164, or empty in the cases that test empty numbers."""

    what: str
    from_number: str
    to_number: str
    expected: Outcome
    max_duration: int | None = None  # seconds
    max_cost: Decimal | None = None
    hang_up: Moment | None = None
    by_button: bool = False
    # Request it with this account's key ("" for none), here instead of in the worker.
    key_of: str | None = None


ORPHANED = "Orphan & Sons"  # an account without a provider
ELSEWHERE = "Elsewhere Ltd"  # an account whose allow-list does not have this address
STRANGER = "nobody's"  # a key that was never issued

TALKS_10, TALKS_20, TALKS_30, AT_ONCE, AFTER_15, STAYS = "11", "12", "13", "20", "21", "50"
UNREACHED = (
    ("01", "is busy", "busy"),
    ("02", "is not answered", "no_answer"),
    ("03", "declines", "declined"),
    ("04", "has its gateway down", "gateway_down"),
    ("05", "does not exist", "unallocated_number"),
)
# Called once in each check, since the site's limits apply to buttons
BUTTON_PHONE = "+442079460411"


def a(ending: str) -> str:
    """A leg A phone whose number ends in these digits."""
    return f"+4420794602{ending}"


def b(ending: str) -> str:
    """A leg B phone whose number ends in these digits."""
    return f"+4420794603{ending}"


def made(status: CallStatus, cause: str, veto: str = "") -> Outcome:
    return Outcome(Placement.ACCEPTED, ResponseCode.OK, status, cause, veto)


def refused(code: ResponseCode) -> Outcome:
    return Outcome(Placement.REJECTED, code)


TALKED = made(CallStatus.AB_DISCONNECTED, "normal")


def cases() -> Iterator[Case]:
    """All cases. Those that hang up at a certain moment come last, when the machine has little else
    to do.
    """
    yield from _outcomes_of_leg_a()
    yield from _outcomes_of_leg_b()
    yield from _limits()
    yield from _codes()
    yield from _hang_ups()


def _outcomes_of_leg_a() -> Iterator[Case]:
    for ending, what, cause in UNREACHED:
        yield Case(f"A {what}", a(ending), b(STAYS), made(CallStatus.A_FAILED, cause))
    yield Case(
        "A answers, leaves before B does",
        a("06"),
        b(AFTER_15),
        made(CallStatus.A_DISCONNECTED, "normal"),
    )
    yield Case("A answers at once, B talks for 10 s", a(AT_ONCE), b(TALKS_10), TALKED)
    yield Case("A answers after 15 s, B talks for 10 s", a(AFTER_15), b(TALKS_10), TALKED)
    yield Case("A talks for 20 s, then leaves", a(TALKS_20), b(STAYS), TALKED)


def _outcomes_of_leg_b() -> Iterator[Case]:
    for ending, what, cause in UNREACHED:
        yield Case(f"B {what}", a(STAYS), b(ending), made(CallStatus.B_FAILED, cause))
    yield Case("B answers, leaves 2 s later", a(STAYS), b("06"), TALKED)
    yield Case("B talks for 5 s", a(STAYS), b("10"), TALKED)
    for tens in range(1, 10):
        yield Case(f"B talks for {10 * tens} s", a(STAYS), b(f"1{tens}"), TALKED)
    yield Case("B answers at once, A leaves after 20 s", a(TALKS_20), b(AT_ONCE), TALKED)
    yield Case("B answers after 15 s, A leaves after 30 s", a(TALKS_30), b(AFTER_15), TALKED)


def _limits() -> Iterator[Case]:
    for seconds in (60, 240):
        yield Case(
            f"412 at the maximum duration, {seconds} s",
            a(STAYS),
            b(STAYS),
            made(CallStatus.AB_DISCONNECTED, "vetoed", MAX_DURATION),
            max_duration=seconds,
        )
    yield Case(
        "412 at the maximum cost, 0.20",
        a(STAYS),
        b(STAYS),
        made(CallStatus.AB_DISCONNECTED, "vetoed", MAX_COST),
        max_cost=Decimal("0.20"),  # the cost at the next event is less than twice as much
    )


def _codes() -> Iterator[Case]:
    here, there = a(STAYS), b(TALKS_10)
    yield Case("00 by the button on a contact's page", "", BUTTON_PHONE, TALKED, by_button=True)
    yield Case("10 without an API key", here, there, refused(ResponseCode.EMPTY_API_KEY), key_of="")
    yield Case(
        "20 without a caller", "", there, refused(ResponseCode.EMPTY_FROM), key_of=demo_data.ACCOUNT
    )
    yield Case(
        "30 without a callee", here, "", refused(ResponseCode.EMPTY_TO), key_of=demo_data.ACCOUNT
    )
    yield Case(
        "40 with an unknown key",
        here,
        there,
        refused(ResponseCode.UNKNOWN_API_USER),
        key_of=STRANGER,
    )
    yield Case(
        "50 for an account without a provider",
        here,
        there,
        refused(ResponseCode.NO_SERVICE_PROVIDER),
        key_of=ORPHANED,
    )
    yield Case(
        "60 for a number on the blacklist",
        here,
        demo_data.LISTED,
        refused(ResponseCode.BLACKLISTED),
    )
    yield Case(
        "70 for a number without a gateway",
        here,
        demo_data.NO_GATEWAY,
        refused(ResponseCode.NO_GATEWAY),
    )
    yield Case(
        "90 for a number without a rate", here, demo_data.NO_RATE, refused(ResponseCode.NO_TIMEOUT)
    )
    yield Case(
        "100 from an address that is not allowed",
        here,
        there,
        refused(ResponseCode.UNKNOWN_ADDRESS),
        key_of=ELSEWHERE,
    )


def _hang_ups() -> Iterator[Case]:
    yield Case(
        f"Hang-up {Moment.WAITING.value}",
        a(STAYS),
        b(STAYS),
        Outcome(Placement.CANCELLED),
        hang_up=Moment.WAITING,
    )
    # The service is asked to end the call, before the next event: A answers, B answers, or a tick.
    # Slow phones leave time for that.
    for moment, leg_a, leg_b, status in (
        (Moment.RINGING_A, AFTER_15, AFTER_15, CallStatus.A_FAILED),
        (Moment.RINGING_B, AT_ONCE, AFTER_15, CallStatus.A_DISCONNECTED),
        (Moment.TALKING, AT_ONCE, AT_ONCE, CallStatus.AB_DISCONNECTED),
    ):
        yield Case(
            f"Hang-up {moment.value}",
            a(leg_a),
            b(leg_b),
            made(status, "hang_up_requested"),
            hang_up=moment,
        )
