"""Session timers (RFC 4028): who refreshes a session, how, and what ends it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from django_poketalk.server.switch.gateways.sip import dialog_checks, session_timer
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from .conftest import SipService, leg
from .peer import SDP, Peer, Script, stay, talk

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("quick_checks"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ALLOW_UPDATE = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE"
WE_REFRESH = "Session-Expires: 6;refresher=uac"
PEER_REFRESHES = "Session-Expires: 6 ; refresher=UAS"
NEW_SDP = SDP.replace("4000", "4002")


def header(message: str, name: str) -> str | None:
    found = re.search(rf"^{name}: (.*)$", message, re.MULTILINE)
    return found and found[1]


def body(message: str) -> str:
    return message.partition("\n\n")[2]


def callee(*headers: str, then: Callable[[Peer, str], None]) -> Script:
    """A leg B whose 200 has these headers, and that then does something with its INVITE."""

    def script(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "200 OK", SDP, headers=headers)
        peer.receive("ACK")
        then(peer, invite)

    return script


def next_refresh(peer: Peer) -> str:
    """Respond to OPTIONS until a refresh arrives. Return it."""
    while (request := peer.receive("", skip=("ACK",))).startswith(("OPTIONS", "ACK")):
        if request.startswith("OPTIONS"):
            peer.respond(request, "200 OK")
    return request


def hang_up(peer: Peer, invite: str, cseq: int = 90) -> None:
    peer.send_request("BYE", invite, cseq)
    while not (message := peer.receive("", skip=())).startswith("SIP/2.0 200"):
        if message.startswith(("OPTIONS", "UPDATE")):
            peer.respond(message, "200 OK")


def test_each_invite_proposes_a_session(service: SipService) -> None:
    invites: list[str] = []

    def caller(peer: Peer) -> None:
        for _ in range(2):
            invites.append(next_refresh(peer))
            peer.respond(invites[-1], "200 OK", SDP)
        stay(peer)

    service.place_between(caller, talk, max_duration=1)

    for invite in invites:
        assert header(invite, "Supported") == "timer"
        assert header(invite, "Session-Expires") == "1800;refresher=uac"
        assert header(invite, "Min-SE") == "1"  # 90 outside the tests


def test_without_checks_there_is_no_session(service: SipService, settings: Any) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "SIP_CHECK_INTERVAL": 0}

    def then(peer: Peer, invite: str) -> None:
        assert header(invite, "Supported") is None
        assert header(invite, "Session-Expires") is None
        peer.send_request("UPDATE", invite, headers=("Session-Expires: 90;refresher=uac",))
        assert header(peer.receive("SIP/2.0 200"), "Session-Expires") is None
        peer.respond(peer.receive("BYE"), "200 OK")

    call = service.place_between(talk, callee(WE_REFRESH, ALLOW_UPDATE, then=then), 3)

    assert call.hangup_cause == Cause.MAX_DURATION


def test_the_switch_refreshes_by_update_if_it_is_allowed(service: SipService) -> None:
    def then(peer: Peer, invite: str) -> None:
        cseqs = [1]
        for _ in range(2):
            update = next_refresh(peer)
            assert update.startswith("UPDATE")
            assert header(update, "Session-Expires") == "6;refresher=uac"
            assert header(update, "Supported") == "timer"
            assert header(update, "Contact")
            assert body(update) == ""
            cseqs.append(int(str(header(update, "CSeq")).split()[0]))
            peer.respond(update, "200 OK", headers=(WE_REFRESH,))
        assert cseqs == sorted(set(cseqs))
        hang_up(peer, invite)

    compact = WE_REFRESH.replace("Session-Expires", "x")
    call = service.place_between(talk, callee(ALLOW_UPDATE, compact, then=then))

    assert call.hangup_cause == Cause.NORMAL


def test_the_switch_refreshes_by_re_invite_else(service: SipService) -> None:
    """With the description that was last sent, and unseen by the other phone."""
    sent_to_caller: list[str] = []

    def caller(peer: Peer) -> None:
        while True:
            request = peer.receive("", skip=("ACK",))
            if not request.startswith("ACK"):
                sent_to_caller.append(request.split()[0])
                peer.respond(request, "200 OK", SDP if request.startswith("INVITE") else "")
            if request.startswith("BYE"):
                return

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "200 OK", SDP, headers=(WE_REFRESH,))
        answer = body(peer.receive("ACK"))
        for _ in range(2):
            refresh = next_refresh(peer)
            assert refresh.startswith("INVITE")
            assert header(refresh, "Session-Expires") == "6;refresher=uac"
            assert body(refresh) == answer
            peer.respond(refresh, "200 OK", SDP, headers=(WE_REFRESH,))
        hang_up(peer, invite)

    call = service.place_between(caller, callee)

    assert call.hangup_cause == Cause.NORMAL
    assert sent_to_caller.count("INVITE") == 2  # those that connect the call


def test_a_refresh_by_update_that_is_not_allowed_is_a_re_invite(service: SipService) -> None:
    def then(peer: Peer, invite: str) -> None:
        peer.respond(next_refresh(peer), "405 Method Not Allowed")
        refresh = next_refresh(peer)
        assert refresh.startswith("INVITE")
        peer.respond(refresh, "200 OK", SDP, headers=(WE_REFRESH,))
        hang_up(peer, invite)

    longer = "Session-Expires: 8;refresher=uac"
    call = service.place_between(talk, callee(ALLOW_UPDATE, longer, then=then))

    assert call.hangup_cause == Cause.NORMAL


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("UPDATE", "481 Does Not Exist", 481),
        ("UPDATE", "", 408),
        ("INVITE", "408 Request Timeout", 408),
        ("INVITE", "", 408),
    ],
)
def test_a_refresh_that_finds_no_peer_ends_the_call(
    service: SipService, method: str, status: str, expected: int
) -> None:
    """Even if a proxy or PBX goes on responding to OPTIONS."""

    def then(peer: Peer, invite: str) -> None:
        refresh = next_refresh(peer)
        assert refresh.startswith(method)
        if status:
            peer.respond(refresh, status)
        while not (request := peer.receive("", skip=())).startswith("BYE"):
            if request.startswith("OPTIONS"):
                peer.respond(request, "200 OK")
        peer.respond(request, "200 OK")

    headers = (WE_REFRESH, ALLOW_UPDATE) if method == "UPDATE" else (WE_REFRESH,)
    call = service.place_between(talk, callee(*headers, then=then))

    assert (call.status, call.hangup_cause) == (8, Cause.PEER_LOST)
    lost = leg(call, Side.B)
    assert (lost.hangup_cause, lost.sip_status) == (Cause.PEER_LOST, expected)


def test_an_offer_waits_for_the_refresh_of_the_other_phone(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialog_checks, "GIVE_UP", 20)
    refreshing = threading.Event()

    def caller(peer: Peer) -> None:
        invite = next_refresh(peer)
        peer.respond(invite, "200 OK", SDP)
        peer.respond(next_refresh(peer), "200 OK", SDP)
        while not refreshing.is_set():
            peer.respond(peer.receive("OPTIONS", skip=("ACK",)), "200 OK")
        peer.send_request("INVITE", invite, 2, body=NEW_SDP)
        peer.receive("SIP/2.0 200", skip=("SIP/2.0 100", "OPTIONS"))
        peer.send_request("ACK", invite, 2)
        stay(peer)

    def then(peer: Peer, invite: str) -> None:
        refresh = next_refresh(peer)
        peer.respond(refresh, "100 Trying")  # so that it is not repeated
        refreshing.set()
        peer.expect_only("OPTIONS", seconds=1)
        peer.respond(refresh, "200 OK", SDP)
        offer = next_refresh(peer)
        assert "m=audio 4002" in offer
        peer.respond(offer, "200 OK", SDP)
        peer.receive("ACK", skip=("ACK",))
        hang_up(peer, invite)

    # Longer than the pending refresh takes on a busy host: otherwise, the session would be lost.
    long = "Session-Expires: 12;refresher=uac"
    call = service.place_between(caller, callee(long, then=then))

    assert call.hangup_cause == Cause.NORMAL


def test_new_media_in_the_response_to_a_refresh_reach_the_other_phone(
    service: SipService,
) -> None:
    offers: list[str] = []
    changed = threading.Event()

    def caller(peer: Peer) -> None:
        while True:
            request = peer.receive("", skip=())
            if request.startswith("INVITE"):
                offers.append(body(request))
                peer.respond(request, "200 OK", SDP)
                if "m=audio 4002" in request:
                    changed.set()
            elif not request.startswith("ACK"):
                peer.respond(request, "200 OK")
            if request.startswith("BYE"):
                return

    def then(peer: Peer, invite: str) -> None:
        peer.respond(next_refresh(peer), "200 OK", NEW_SDP)
        assert changed.wait(20)
        hang_up(peer, invite)

    call = service.place_between(caller, callee(WE_REFRESH, then=then))

    assert call.hangup_cause == Cause.NORMAL
    assert len(offers) == 3


def test_a_peer_that_does_not_refresh_its_session_is_lost(service: SipService) -> None:
    """Even if it goes on responding to OPTIONS."""

    def then(peer: Peer, invite: str) -> None:
        bye = next_refresh(peer)
        assert bye.startswith("BYE")
        peer.respond(bye, "200 OK")

    call = service.place_between(talk, callee(PEER_REFRESHES, ALLOW_UPDATE, then=then), 60)

    assert (call.status, call.hangup_cause) == (8, Cause.PEER_LOST)
    assert leg(call, Side.B).hangup_cause == Cause.PEER_LOST


def test_a_peer_that_refreshes_its_session_stays_connected(service: SipService) -> None:
    def then(peer: Peer, invite: str) -> None:
        began = time.monotonic()
        cseq = 1
        while time.monotonic() < began + 6:  # it would be lost after four seconds
            peer.respond(peer.receive("OPTIONS"), "200 OK")
            cseq += 1
            headers = ("Supported: timer", "Session-Expires: 6;refresher=uac")
            peer.send_request("UPDATE", invite, cseq, headers=headers)
            peer.receive("SIP/2.0 200")
        hang_up(peer, invite)

    call = service.place_between(talk, callee(PEER_REFRESHES, then=then), 60)

    assert call.hangup_cause == Cause.NORMAL


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_the_refresh_of_a_peer_is_answered_with_its_session(
    service: SipService, method: str
) -> None:
    def then(peer: Peer, invite: str) -> None:
        for cseq, (asked, agreed, required) in enumerate(
            [
                ("60;refresher=uac", "60;refresher=uac", "timer"),
                ("70; Refresher=UAS", "70;refresher=uas", None),
                ("80", "80;refresher=uas", None),
                ("", "80;refresher=uas", None),
            ],
            2,
        ):
            headers = (f"Session-Expires: {asked}",) if asked else ()
            text = SDP if method == "INVITE" else ""
            peer.send_request(method, invite, cseq, headers=headers, body=text)
            response = peer.receive("SIP/2.0 200", skip=("SIP/2.0 100", "OPTIONS"))
            assert header(response, "Session-Expires") == agreed
            assert header(response, "Require") == required
            assert header(response, "Contact")
            if method == "INVITE":
                peer.send_request("ACK", invite, cseq)
        hang_up(peer, invite)

    call = service.place_between(talk, callee(PEER_REFRESHES, then=then))

    assert call.hangup_cause == Cause.NORMAL


def test_an_interval_of_a_peer_that_is_too_small_is_refused(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_timer, "MIN_INTERVAL", 90)

    def then(peer: Peer, invite: str) -> None:
        for cseq, (method, text) in enumerate([("UPDATE", ""), ("INVITE", SDP)], 2):
            peer.send_request(method, invite, cseq, headers=("Session-Expires: 89",), body=text)
            response = peer.receive("SIP/2.0 422", skip=("OPTIONS",))
            assert header(response, "Min-SE") == "90"
        peer.send_request("ACK", invite, 3)
        hang_up(peer, invite)

    call = service.place_between(talk, callee(then=then))

    assert call.hangup_cause == Cause.NORMAL


def test_an_interval_that_is_too_small_for_the_trunk_is_raised_once(service: SipService) -> None:
    invites: list[str] = []

    def refuse(peer: Peer) -> None:
        for least in (3600, 7200):
            invites.append(peer.receive("INVITE", skip=("ACK",)))
            peer.respond(
                invites[-1], "422 Session Interval Too Small", headers=(f"Min-SE: {least}",)
            )
        peer.receive("ACK", skip=("ACK",))

    call = service.place_between(refuse, lambda peer: None)

    assert leg(call, Side.A).sip_status == 422
    assert leg(call, Side.A).hangup_cause == Cause.REJECTED
    first, second = invites
    assert header(second, "Session-Expires") == "3600;refresher=uac"
    assert header(second, "Min-SE") == "3600"
    assert header(second, "Call-ID") == header(first, "Call-ID")
    assert header(second, "From") == header(first, "From")
    assert (header(first, "CSeq"), header(second, "CSeq")) == ("1 INVITE", "2 INVITE")
    assert body(second) == body(first)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_call_goes_on_with_the_interval_that_its_trunk_accepts(
    service: SipService, method: str
) -> None:
    def then(peer: Peer, invite: str) -> None:
        refresh = next_refresh(peer)
        peer.respond(refresh, "422 Session Interval Too Small", headers=("Min-SE: 120",))
        again = next_refresh(peer)
        assert again.startswith(method)
        assert header(again, "Session-Expires") == "120;refresher=uac"
        peer.respond(again, "200 OK", SDP if method == "INVITE" else "")
        hang_up(peer, invite)

    headers = (WE_REFRESH, ALLOW_UPDATE) if method == "UPDATE" else (WE_REFRESH,)
    call = service.place_between(talk, callee(*headers, then=then))

    assert call.hangup_cause == Cause.NORMAL
