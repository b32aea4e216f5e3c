"""Refreshes of sessions: they must not disturb a call, and end it if they are never accepted."""

from __future__ import annotations

import pytest

from django_poketalk.server.switch.gateways.sip import dialog_checks, sdp, session_timer
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from .conftest import SipService, leg
from .peer import SDP, Peer, stay, talk
from .test_session_timers import ALLOW_UPDATE, callee, hang_up, next_refresh

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("quick_checks"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


WE_REFRESH = "Session-Expires: 5;refresher=uac"


def test_a_new_version_of_the_same_media_does_not_reach_the_other_phone(
    service: SipService,
) -> None:
    """Some phones raise it in each response, and may be refreshed every 30 seconds."""
    sent_to_caller: list[str] = []

    def caller(peer: Peer) -> None:
        while True:
            request = peer.receive("")
            sent_to_caller.append(request.split()[0])
            if not request.startswith("ACK"):
                peer.respond(request, "200 OK", SDP if request.startswith("INVITE") else "")
            if request.startswith("BYE"):
                return

    def callee(peer: Peer) -> None:
        while len(invites) < 3:
            request = peer.receive("")
            if request.startswith("INVITE"):
                invites.append(request)
                body = SDP.replace("peer 1 1", f"peer 1 {len(invites)}")
                peer.respond(request, "200 OK", body, headers=(WE_REFRESH,))
            elif request.startswith("OPTIONS"):
                peer.respond(request, "200 OK")
        peer.receive("ACK", skip=("OPTIONS",))
        peer.send_request("BYE", invites[0], 90)
        stay_until_answered(peer)

    invites: list[str] = []
    call = service.place_between(caller, callee)

    assert call.hangup_cause == Cause.NORMAL
    assert sent_to_caller.count("INVITE") == 2  # those that connect the call


def test_an_update_with_an_unchanged_offer_is_answered(service: SipService) -> None:
    """Some peers refresh a session so (RFC 3311). The answer is unchanged too."""
    bodies: list[str] = []

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "200 OK", SDP)
        ack = peer.receive("ACK")
        for cseq, offer, status in (
            (2, SDP, 200),
            (3, SDP.replace("peer 1 1", "peer 1 2"), 200),
            (4, SDP.replace("4000", "4002"), 488),
            (5, SDP, 200),
        ):
            peer.send_request("UPDATE", invite, cseq, body=offer)
            response = peer.receive("SIP/2.0", skip=("OPTIONS", "SIP/2.0 100"))
            assert response.startswith(f"SIP/2.0 {status}")
            bodies.append(response.partition("\n\n")[2])
        bodies.append(ack.partition("\n\n")[2])
        peer.send_request("BYE", invite, 90)
        stay_until_answered(peer)

    call = service.place_between(talk, callee)

    assert call.hangup_cause == Cause.NORMAL
    first, second, refused, third, answered = bodies
    assert "m=audio" in answered
    assert first == second == third == answered
    assert refused == ""


def stay_until_answered(peer: Peer) -> None:
    while not peer.receive("").startswith("SIP/2.0 200"):
        pass


def test_an_interval_below_the_least_does_not_end_the_call(
    service: SipService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trunk that wants to refresh a session of 3 seconds would be lost after 2."""
    monkeypatch.setattr(session_timer, "MIN_INTERVAL", 90)

    def callee(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "200 OK", SDP, headers=("Session-Expires: 3;refresher=uas",))
        stay(peer)

    call = service.place_between(talk, callee, max_duration=5)

    assert call.hangup_cause == Cause.MAX_DURATION


def test_descriptions_with_the_same_media() -> None:
    newer = SDP.replace("peer 1 1", "other 7 9").replace("\n", "\r\n")

    assert sdp.same_media(SDP, newer)
    assert not sdp.same_media(SDP, SDP.replace("4000", "4002"))
    assert not sdp.same_media(SDP, f"{SDP}\na=sendonly")
    assert not sdp.same_media(SDP, SDP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 127.0.0.2"))


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_session_whose_refreshes_are_all_refused_ends_when_it_expires(
    service: SipService, method: str
) -> None:
    """Even if the peer goes on responding to OPTIONS."""
    refreshes: list[str] = []

    def then(peer: Peer, invite: str) -> None:
        while not (request := peer.receive("", skip=("ACK",))).startswith("BYE"):
            is_check = request.startswith("OPTIONS")
            peer.respond(request, "200 OK" if is_check else "500 Error")
            refreshes.extend([] if is_check else [request.split()[0]])
        peer.respond(request, "200 OK")

    headers = (WE_REFRESH, ALLOW_UPDATE) if method == "UPDATE" else (WE_REFRESH,)
    call = service.place_between(talk, callee(*headers, then=then), 60)

    assert (call.status, call.hangup_cause) == (8, Cause.PEER_LOST)
    assert leg(call, Side.B).hangup_cause == Cause.PEER_LOST
    assert method in refreshes


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_refresh_that_is_refused_is_sent_again(
    service: SipService, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialog_checks, "REFRESH_AGAIN", 0)
    refreshed = "Session-Expires: 12;refresher=uac"

    def then(peer: Peer, invite: str) -> None:
        for answer in ("491 Request Pending", "500 Error", "200 OK"):
            refresh = next_refresh(peer)
            assert refresh.startswith(method)
            is_answered = method == "INVITE" and answer == "200 OK"
            peer.respond(refresh, answer, SDP if is_answered else "", headers=(refreshed,))
        hang_up(peer, invite)

    headers = (refreshed, ALLOW_UPDATE) if method == "UPDATE" else (refreshed,)
    call = service.place_between(talk, callee(*headers, then=then))

    assert call.hangup_cause == Cause.NORMAL
