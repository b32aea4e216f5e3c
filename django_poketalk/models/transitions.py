"""The transitions of a call request: what happens to it apart from the events of its call.

Each is a compare-and-set of one row. The two of every call, when it is claimed and when the service
has answered, are compiled, because building these updates takes longer than their execution.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Model, Q

from .. import signals
from ..protocol.codes import ResponseCode
from ..shared.compiled import CompiledUpdate, Rows
from ..shared.text import short
from .call_totals import changing
from .states import ManualResolution, Placement

_CALL = "poketalk.CallRequest"
_SENT = Q(placement__in=[Placement.SENDING, Placement.UNKNOWN])
_WITHOUT_ANSWER = Q(placement=Placement.ACCEPTED, placed_at=None)  # an event was first

DUE = CompiledUpdate(
    _CALL, lambda calls, pk, attempts, now: calls.due(now).filter(pk=pk, attempts=attempts)
)
ACCEPTABLE = CompiledUpdate(_CALL, lambda calls, pk: calls.filter(_SENT | _WITHOUT_ANSWER, pk=pk))
REJECTABLE = CompiledUpdate(_CALL, lambda calls, pk: calls.filter(_SENT, pk=pk))


class WithTransitions(Model):
    """A call request with its transitions, which return whether they happened."""

    if TYPE_CHECKING:
        placement: str
        attempts: int
        created_at: datetime
        expires_at: datetime
        stale_at: datetime | None
        last_event_at: datetime | None

        @property
        def is_open(self) -> bool: ...

    class Meta:
        abstract = True

    def begin_sending(self, now: datetime) -> bool:
        """Claim a due request for this process, before its first byte is sent. Returns False if
        another process has claimed it.
        """
        due, attempts = DUE.among(self.attempts, now), self.attempts + 1
        return self._move(due, Placement.SENDING, sent_at=now, rings_at=now, attempts=attempts)

    def forbid(self, sentence: str) -> bool:
        """Close a request that has not been sent and is no longer allowed. No phone rings."""
        queued = self._model.objects.filter(placement=Placement.QUEUED)
        return self._move(queued, Placement.FORBIDDEN, response_detail=short(sentence))

    def hold_back(self, sentence: str) -> bool:
        """Note why a request that is due still waits."""
        queued = self._model.objects.filter(placement=Placement.QUEUED)
        return self.update_if(queued, response_detail=short(sentence))

    def accept(self, now: datetime, detail: str, reference: str = "") -> bool:
        """Record that the service accepted the call, and its own id of it. This also works if the
        request was marked as unknown meanwhile, or if the first event arrived before this answer.
        """
        code = ResponseCode.OK.value
        return self._record_answer(Placement.ACCEPTED, now, code, detail, reference=reference)

    def reject(self, now: datetime, code: str, detail: str, cause: str = "") -> bool:
        """Record that the service refused the request: with a code, or, without one (""), with a
        message for invalid input. `cause`: which of its reasons the code had.
        """
        return self._record_answer(Placement.REJECTED, now, code, detail, hangup_cause=cause)

    def lose(self, detail: str) -> bool:
        """Record that there was no clear answer, so that it is unknown whether phones ring. The
        request is not sent again.
        """
        sending = self._model.objects.filter(placement=Placement.SENDING)
        return self._move(sending, Placement.UNKNOWN, response_detail=short(detail))

    def retry(self, at: datetime, detail: str) -> bool:
        """Record that the service could not be reached, so that nothing was sent. Queue the request
        again for `at`, or fail if that is after its expiry.
        """
        sending = self._model.objects.filter(placement=Placement.SENDING)
        placement = Placement.QUEUED if at < self.expires_at else Placement.FAILED
        changes = {"not_before": at, "rings_at": at, "response_detail": short(detail)}
        return self._move(sending, placement, **changes)

    def expire(self, now: datetime) -> bool:
        """Expire a request that was not placed in time. No phone rings."""
        return self._move(self._model.objects.past_expiry(now), Placement.EXPIRED)

    def cancel(self, now: datetime, user: Any = None) -> bool:
        """Cancel a request that has not been sent. Returns False if it has."""
        among = self._model.objects.filter(placement=Placement.QUEUED)
        changes = {"hangup_requested_at": now, "hangup_requested_by": user}
        return self._move(among, Placement.CANCELLED, **changes)

    def request_hang_up(self, now: datetime, user: Any = None) -> bool:
        """Make the next event be answered with 412. Returns False if the call has ended, or if this
        was requested before.
        """
        among = self._model.objects.open().filter(hangup_requested_at=None)
        return self.update_if(among, hangup_requested_at=now, hangup_requested_by=user)

    def mark_stale(self, now: datetime) -> bool:
        """Assume that the call has ended, because there were no events for too long. If another
        event arrives, the call is open again.
        """
        among = self._model.objects.open().filter(last_event_at=self.last_event_at)
        return self.update_if(among, stale_at=now)

    def resolve(self, outcome: ManualResolution, now: datetime) -> bool:
        """Record the outcome that a person found out for a request without a clear answer. Returns
        False if the outcome is already known.

        Later events override it.
        """
        among = self._model.objects.filter(placement=Placement.UNKNOWN)
        if outcome is ManualResolution.NEVER_RANG:
            return self._move(among, Placement.FAILED)
        if outcome is ManualResolution.RANG:
            return self._move(among, Placement.ACCEPTED)
        return self._move(among, Placement.ACCEPTED, stale_at=self.stale_at or now)

    def _record_answer(
        self, placement: Placement, now: datetime, code: str, detail: str, **changes: Any
    ) -> bool:
        waiting = ACCEPTABLE if placement is Placement.ACCEPTED else REJECTABLE
        return self._move(
            waiting.among(),
            placement,
            placed_at=now,
            response_code=code,
            response_detail=short(detail),
            **changes,
        )

    def _move(self, among: Rows, placement: Placement, **changes: Any) -> bool:
        """`update_if` with this placement."""
        return self.update_if(among, placement=placement.value, **changes)

    def update_if(self, among: Rows, **changes: Any) -> bool:
        """Compare-and-set: update the row if it is still `among`, and then this object. Returns
        whether it was. Sends the signals after the commit.
        """
        previous, was_open = Placement(self.placement), self.is_open
        with changing([self.created_at]):
            if not among.filter(pk=self.pk).update(**changes):
                return False
        for field, value in changes.items():
            setattr(self, field, value)
        if self.placement != previous:
            moved = {"placement": Placement(self.placement), "previous": previous}
            signals.announce(signals.placement_changed, self._model, call=self, **moved)
        if was_open and not self.is_open:
            signals.announce(signals.call_ended, self._model, call=self)
        return True

    @property
    def _model(self) -> Any:
        """`CallRequest`, also for a proxy of it."""
        return self._meta.concrete_model
