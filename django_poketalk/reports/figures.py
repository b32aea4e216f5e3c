"""The figures of a report. Pure.

The measures follow ITU-T E.425, as far as the protocol reports what they need. Each property of
`Figures` documents what it counts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from operator import add, attrgetter

NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals of some calls. The figures of parts add up to the figures of the whole."""

    calls: int = 0
    seizures: int = 0  # calls to the callee's phone that rang, if answered or ended
    answered: int = 0  # by the callee
    requested: int = 0  # ended calls that were sent to the service with a valid request
    delivered: int = 0  # of these, the calls that reached a phone
    talk: timedelta = NOTHING  # of the calls that have ended
    talks: int = 0  # of these, the calls that the callee answered
    delay: timedelta = NOTHING  # from the request to dialing the caller's phone, if both are known
    delays: int = 0
    spend: Decimal = Decimal(0)

    def __add__(self, other: Figures) -> Figures:
        return Figures(*map(add, _values(self), _values(other)))

    @property
    def asr(self) -> float | None:
        """Answer-seizure ratio (E.425): the share of answered calls of those in which the callee's
        phone rang, or None if none rang. Phones that still ring are not counted.
        """
        return _ratio(self.answered, self.seizures)

    @property
    def ner(self) -> float | None:
        """Network effectiveness ratio (E.425): the share of requested calls that reached a phone,
        answered or not.

        This is an upper bound, because the protocol has one status for phones that are busy, do not
        answer or cannot be reached. Cancelled and expired calls, invalid requests and calls in
        progress are not counted.
        """
        return _ratio(self.delivered, self.requested)

    @property
    def acd(self) -> timedelta | None:
        """Average call duration: the mean talk time of the calls that both parties answered."""
        return self.talk / self.talks if self.talks else None

    @property
    def pdd(self) -> timedelta | None:
        """Post-dial delay: the mean time from the request to dialing the caller's phone.

        The protocol does not report ringing, so this is the delay of the service, without the time
        until the phone rings.
        """
        return self.delay / self.delays if self.delays else None


_values = attrgetter(*(field.name for field in fields(Figures)))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
