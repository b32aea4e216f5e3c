"""A phone or PBX that vanishes during a call without a BYE: the call ends, and is charged until the
last proof of life.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.sip import dialog_checks
from django_poketalk.server.switch.gateways.sip.dialog_checks import DialogCheck, DialogChecks
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side
from tests.server.switch.conftest import ended, serve

from .baresip import running_baresip
from .conftest import A, B, SipService, leg
from .peer import SDP, Peer, Script, answer, stay, talk

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("quick_checks"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def after_checks(count: int, then: Callable[[Peer], None]) -> Script:
    """A leg A that responds to some checks of its connected call, and then does something else."""

    def script(peer: Peer) -> None:
        answer(peer)
        checks = 0
        is_connected = False
        while checks < count:
            request = peer.receive("", skip=("ACK",))
            is_reinvite = request.startswith("INVITE")
            is_connected = is_connected or is_reinvite
            checks += is_connected and request.startswith("OPTIONS")
            peer.respond(request, "200 OK", SDP if is_reinvite else "")
        then(peer)

    return script


def vanish(peer: Peer) -> None:
    """Never respond again."""


def restart(peer: Peer) -> None:
    """Respond as a PBX that knows no call any more."""
    request = peer.receive("OPTIONS", skip=("ACK",))
    peer.respond(request, "481 Call/Transaction Does Not Exist")
    request = peer.receive("BYE")
    peer.respond(request, "481 Call/Transaction Does Not Exist")


@pytest.mark.parametrize(("then", "status"), [(vanish, 408), (restart, 481)])
def test_a_call_ends_when_a_phone_responds_no_longer(
    service: SipService, then: Callable[[Peer], None], status: int
) -> None:
    call = service.place_between(after_checks(2, then), talk, max_duration=60)

    assert (call.status, call.hangup_cause) == (8, Cause.PEER_LOST)
    lost, other = leg(call, Side.A), leg(call, Side.B)
    assert (lost.hangup_cause, lost.sip_status) == (Cause.PEER_LOST, status)
    assert other.hangup_cause == Cause.OTHER_LEG


@pytest.mark.parametrize(("status", "code"), [("481 Does Not Exist", 481), ("408 Timeout", 408)])
def test_a_phone_is_lost_if_it_is_gone_when_the_phones_are_connected(
    service: SipService, status: str, code: int
) -> None:
    def restart_before_the_re_invite(peer: Peer) -> None:
        answer(peer)
        peer.respond(peer.receive("INVITE", skip=("OPTIONS",)), status)
        peer.respond(peer.receive("BYE", skip=("OPTIONS", "ACK")), status)

    call = service.place_between(restart_before_the_re_invite, talk)

    assert call.hangup_cause == Cause.PEER_LOST
    lost = leg(call, Side.A)
    assert (lost.hangup_cause, lost.sip_status) == (Cause.PEER_LOST, code)


def test_a_call_is_charged_until_the_last_proof_of_life(service: SipService) -> None:
    vanished_at: list[float] = []

    def vanish_now(peer: Peer) -> None:
        vanished_at.append(time.monotonic())

    service.rate.price_per_minute = Decimal(60)
    service.rate.save()
    began = time.monotonic()
    call = service.place_between(after_checks(3, vanish_now), talk, max_duration=60)

    assert time.monotonic() - vanished_at[0] > dialog_checks.GIVE_UP
    assert call.duration <= vanished_at[0] - began
    lost = leg(call, Side.A)
    assert lost.duration == call.duration
    assert call.cost == -sum(entry.amount for entry in call.entries.all()) > 0
    assert call.cost <= 2 * (call.duration + 1)
    assert lost.ended_at is not None
    assert lost.answered_at is not None
    assert (lost.ended_at - lost.answered_at).total_seconds() < call.duration + 1


def test_a_peer_that_only_responds_to_re_invites_stays_connected(service: SipService) -> None:
    """Each phone has to, and one that ignores OPTIONS is asked by them."""
    offers: list[str] = []

    def ignore_options(peer: Peer) -> None:
        answer(peer)
        while True:
            request = peer.receive("", skip=("OPTIONS", "ACK"))
            if request.startswith("OPTIONS"):
                continue
            if request.startswith("INVITE"):
                offers.append(request.partition("\n\n")[2])
            peer.respond(request, "200 OK", SDP if request.startswith("INVITE") else "")
            if request.startswith("BYE"):
                return

    call = service.place_between(ignore_options, talk, max_duration=9)

    assert call.hangup_cause == Cause.MAX_DURATION
    assert len(offers) >= 3
    assert len(set(offers)) == 1


@pytest.mark.parametrize("side", [Side.A, Side.B])
def test_a_phone_that_vanishes_as_soon_as_it_has_answered(service: SipService, side: Side) -> None:
    """It has never responded to OPTIONS, so it is asked by a re-INVITE."""

    def answer_and_vanish(peer: Peer) -> None:
        answer(peer)
        if side is Side.A:
            peer.respond(peer.receive("INVITE", skip=("OPTIONS",)), "200 OK", SDP)

    scripts = (answer_and_vanish, talk) if side is Side.A else (talk, answer_and_vanish)
    call = service.place_between(*scripts, max_duration=60)

    assert (call.status, call.hangup_cause) == (8, Cause.PEER_LOST)
    assert leg(call, side).hangup_cause == Cause.PEER_LOST
    assert leg(call, side.other).hangup_cause == Cause.OTHER_LEG
    assert call.duration is not None
    assert call.duration < 20


def test_a_peer_that_refuses_options_stays_connected(service: SipService) -> None:
    """Also with 481 from the start: it does not know OPTIONS within a call."""

    def refuse(status: str) -> Script:
        def script(peer: Peer) -> None:
            answer(peer)
            while True:
                request = peer.receive("", skip=("ACK",))
                if request.startswith("OPTIONS"):
                    peer.respond(request, status)
                    continue
                peer.respond(request, "200 OK", SDP if request.startswith("INVITE") else "")
                if request.startswith("BYE"):
                    return

        return script

    call = service.place_between(
        refuse("481 Call/Transaction Does Not Exist"),
        refuse("405 Method Not Allowed"),
        max_duration=7,
    )

    assert call.hangup_cause == Cause.MAX_DURATION


def test_a_proxy_that_cannot_reach_the_phone_is_no_proof_of_life(service: SipService) -> None:
    def unreachable(peer: Peer) -> None:
        while not (request := peer.receive("", skip=("ACK",))).startswith("BYE"):
            peer.respond(request, "503 Service Unavailable")
        peer.respond(request, "503 Service Unavailable")

    call = service.place_between(after_checks(2, unreachable), talk, max_duration=60)

    assert call.hangup_cause == Cause.PEER_LOST
    assert leg(call, Side.A).sip_status == 408


def test_a_single_error_of_a_proxy_does_not_end_a_call(service: SipService) -> None:
    def recover(peer: Peer) -> None:
        peer.respond(peer.receive("OPTIONS", skip=("ACK",)), "503 Service Unavailable")
        stay(peer)

    call = service.place_between(after_checks(1, recover), talk, max_duration=8)

    assert call.hangup_cause == Cause.MAX_DURATION


def test_lost_checks_are_sent_again(service: SipService) -> None:
    def lose_one(peer: Peer) -> None:
        first = peer.receive("OPTIONS", skip=("ACK",))
        again = peer.receive("OPTIONS")
        assert again == first
        peer.respond(again, "200 OK")
        stay(peer)

    call = service.place_between(after_checks(1, lose_one), talk, max_duration=8)

    assert call.hangup_cause == Cause.MAX_DURATION


def test_the_checks_belong_to_the_dialog(service: SipService) -> None:
    """Each has the dialog's identifiers, the phone's target, and a new CSeq number."""
    checks: list[str] = []
    invites: list[str] = []

    def inspect(peer: Peer) -> None:
        peer.contact = f"<sip:desk@127.0.0.1:{peer.port};ob>"
        invites.append(peer.receive("INVITE"))
        peer.respond(invites[0], "200 OK", SDP)
        while True:
            request = peer.receive("", skip=("ACK",))
            peer.respond(request, "200 OK", SDP if request.startswith("INVITE") else "")
            if request.startswith("OPTIONS"):
                checks.append(request)
            if request.startswith("BYE"):
                return

    service.place_between(inspect, talk, max_duration=6)

    def header(message: str, name: str) -> str:
        return next(line for line in message.split("\n") if line.startswith(f"{name}: "))

    assert len(checks) >= 2
    numbers = [int(header(check, "CSeq").split()[1]) for check in checks]
    assert numbers == sorted(set(numbers))
    for check in checks:
        assert check.startswith("OPTIONS sip:desk@127.0.0.1:")
        assert check.split("\n")[0].endswith(";ob SIP/2.0")
        assert header(check, "From") == header(invites[0], "From")
        assert header(check, "Call-ID") == header(invites[0], "Call-ID")
        assert header(check, "To").endswith(";tag=peer")
    assert len({header(check, "Via") for check in checks}) == len(checks)


@pytest.mark.needs("baresip")
@pytest.mark.parametrize("side", [Side.A, Side.B])
def test_a_phone_that_is_killed_in_mid_call(
    service: SipService, monkeypatch: pytest.MonkeyPatch, side: Side
) -> None:
    responding: set[DialogCheck] = set()
    judge = DialogChecks._judge

    def record(checks: DialogChecks, check: DialogCheck, status: int) -> None:
        judge(checks, check, status)
        responding.add(check)

    monkeypatch.setattr(DialogChecks, "_judge", record)
    with running_baresip(f"{A}01", 440) as a, running_baresip(f"{B}02", 880) as b:
        service.gateway(A, a.port)
        service.gateway(B, b.port)
        call = service.queue(max_duration=120)
        phone = (a if side is Side.A else b).process

        def is_over() -> bool:
            call.refresh_from_db()
            if call.status == 7 and len(responding) == 2 and phone.poll() is None:
                phone.kill()
            return ended(call)()

        serve(Engine("test"), until=is_over)

    assert phone.returncode == -signal.SIGKILL
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (8, Cause.PEER_LOST)
    assert leg(call, side).hangup_cause == Cause.PEER_LOST
    assert leg(call, side.other).hangup_cause == Cause.OTHER_LEG
