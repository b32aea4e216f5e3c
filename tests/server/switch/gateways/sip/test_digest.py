"""Challenges with 401 and 407. The digests (RFC 2617) are computed independently."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import pytest

from django_poketalk.server.models import Call
from django_poketalk.server.switch.gateways.sip import leg as sip_leg
from django_poketalk.server.switch.gateways.sip.sippy_patches.digest import MAX_CHALLENGES
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from .conftest import A, SipService, leg
from .peer import SDP, Peer, Script, running_peer
from .phones import NONCE, PASSWORD, REALM, USERNAME

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CHALLENGE = f'Proxy-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", qop="auth"'


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", PASSWORD)
    return {"username": USERNAME, "password_variable": "POKETALK_GATEWAY_TRUNK"}


@dataclass
class Digest:
    """The credentials of one header of a request."""

    header: str
    fields: dict[str, str]
    is_valid: bool  # for `USERNAME` and `PASSWORD`


def digests(request: str) -> list[Digest]:
    """All credentials in a request."""
    method, uri = request.split(" ")[:2]
    found = []
    for header, text in re.findall(r"^([\w-]+thorization): Digest (.*)$", request, re.MULTILINE):
        fields = dict(re.findall(r'(\w+)="?([^",]*)"?', text))
        assert fields["uri"] == uri
        identity = _hash(USERNAME, fields["realm"], PASSWORD)
        quality = [fields[name] for name in ("nc", "cnonce", "qop") if name in fields]
        response = _hash(identity, fields["nonce"], *quality, _hash(method, uri))
        found.append(Digest(header, fields, response == fields["response"]))
    return found


def _hash(*parts: str) -> str:
    return md5(":".join(parts).encode()).hexdigest()


def has_valid_digest(request: str) -> bool:
    """Whether the request has one digest, which is valid for `REALM` and `NONCE`."""
    [digest] = digests(request)
    assert digest.header == "Proxy-Authorization"
    assert (digest.fields["realm"], digest.fields["nonce"]) == (REALM, NONCE)
    return digest.is_valid


def challenge(peer: Peer, method: str) -> str:
    """Challenge a request with 407. Return the new request, with credentials."""
    return challenge_again(peer, peer.receive(method, skip=("ACK",)), CHALLENGE)


def challenge_again(peer: Peer, request: str, *headers: str) -> str:
    """Challenge this request. Return the next one, whose CSeq is the next."""
    is_proxy = headers[-1].startswith("Proxy")
    status = "407 Proxy Authentication Required" if is_proxy else "401 Unauthorized"
    peer.respond(request, status, headers=headers)
    again = peer.receive(request.partition(" ")[0], skip=("ACK",))
    assert cseq(again) == cseq(request) + 1
    return again


def cseq(request: str) -> int:
    found = re.search(r"^CSeq: (\d+)", request, re.MULTILINE)
    assert found
    return int(found[1])


def test_407_to_invite_and_to_bye_is_answered(
    service: SipService, credentials: dict[str, str]
) -> None:
    def caller(peer: Peer) -> None:
        invite = challenge(peer, "INVITE")
        assert has_valid_digest(invite)
        peer.respond(invite, "200 OK", SDP)
        bye = challenge(peer, "BYE")
        assert has_valid_digest(bye)
        peer.respond(bye, "200 OK")

    with running_peer(caller) as (port, a):
        service.gateway(A, port, **credentials)
        call = service.place()  # no gateway leads to B
        a.result(20)

    assert (call.status, call.hangup_cause) == (6, Cause.GATEWAY_DOWN)


def test_a_second_challenge_to_bye_is_ignored(
    service: SipService, credentials: dict[str, str]
) -> None:
    """Otherwise a trunk that always challenges would cause an endless loop."""

    def caller(peer: Peer) -> None:
        peer.respond(peer.receive("INVITE"), "200 OK", SDP)
        bye = challenge(peer, "BYE")
        peer.respond(bye, "407 Proxy Authentication Required", headers=(CHALLENGE,))
        peer.expect_nothing(1.0)

    with running_peer(caller) as (port, a):
        service.gateway(A, port, **credentials)
        service.place()  # no gateway leads to B
        a.result(20)


def test_the_call_fails_after_a_wrong_password(
    service: SipService, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POKETALK_GATEWAY_TRUNK", "wrong")

    def caller(peer: Peer) -> None:
        invite = challenge(peer, "INVITE")
        assert not has_valid_digest(invite)
        peer.respond(invite, "407 Proxy Authentication Required", headers=(CHALLENGE,))
        peer.receive("ACK")

    with running_peer(caller) as (port, a):
        service.gateway(A, port, **credentials)
        call = service.place()
        a.result(20)

    assert (call.status, call.hangup_cause) == (2, Cause.REJECTED)
    assert leg(call, Side.A).sip_status == 407


PBX = 'WWW-Authenticate: Digest realm="pbx", algorithm=MD5, nonce='
EDGE = 'Proxy-Authenticate: Digest realm="edge", nonce='


def place(service: SipService, caller: Script, credentials: dict[str, Any]) -> Call:
    with running_peer(caller) as (port, a):
        service.gateway(A, port, **credentials)
        call = service.place()  # no gateway leads to B
        a.result(20)
    return call


def end(peer: Peer, invite: str) -> None:
    peer.respond(invite, "200 OK", SDP)
    peer.respond(peer.receive("BYE", skip=("ACK",)), "200 OK")


@pytest.mark.parametrize("stale", ["stale=true", 'Stale="TRUE"'])
def test_a_stale_nonce_is_replaced(
    service: SipService, credentials: dict[str, str], stale: str
) -> None:
    def caller(peer: Peer) -> None:
        invite = challenge_again(peer, peer.receive("INVITE"), f'{PBX}"N1"')
        invite = challenge_again(peer, invite, f'{PBX}"N2", {stale}')
        [digest] = digests(invite)
        assert (digest.header, digest.fields["nonce"]) == ("Authorization", "N2")
        assert digest.is_valid
        end(peer, invite)

    call = place(service, caller, credentials)

    assert (call.status, call.hangup_cause) == (6, Cause.GATEWAY_DOWN)


def test_a_nonce_that_is_always_stale_ends_the_leg(
    service: SipService, credentials: dict[str, str]
) -> None:
    def caller(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        for number in range(MAX_CHALLENGES):
            invite = challenge_again(peer, invite, f'{PBX}"N{number}", stale=true')
        peer.respond(invite, "401 Unauthorized", headers=(f'{PBX}"N", stale=true',))
        peer.receive("ACK", skip=("ACK",))

    call = place(service, caller, credentials)

    assert (call.status, call.hangup_cause) == (2, Cause.REJECTED)


@pytest.mark.parametrize("qop", ["", ', qop="auth"'])
def test_each_proxy_on_the_way_gets_its_own_credentials(
    service: SipService, credentials: dict[str, str], qop: str
) -> None:
    """This applies to INVITE and BYE. A nonce that is used again is counted."""
    edge, core = f'{EDGE}"N1"{qop}', f'{EDGE}"N2"{qop}'.replace("edge", "core")

    def challenge_twice(peer: Peer, request: str) -> str:
        request = challenge_again(peer, request, edge)
        request = challenge_again(peer, request, core)
        found = digests(request)
        assert all(each.is_valid for each in found)
        counts = ["00000002", "00000001"] if qop else [None, None]
        assert [
            (each.header, each.fields["realm"], each.fields["nonce"], each.fields.get("nc"))
            for each in found
        ] == [
            ("Proxy-Authorization", "edge", "N1", counts[0]),
            ("Proxy-Authorization", "core", "N2", counts[1]),
        ]
        return request

    def caller(peer: Peer) -> None:
        peer.respond(challenge_twice(peer, peer.receive("INVITE")), "200 OK", SDP)
        bye = challenge_twice(peer, peer.receive("BYE", skip=("ACK",)))
        assert "\nReason: SIP" in bye
        peer.respond(bye, "200 OK")

    call = place(service, caller, credentials)

    assert (call.status, call.hangup_cause) == (6, Cause.GATEWAY_DOWN)


def test_a_proxy_and_the_pbx_behind_it_may_challenge(
    service: SipService, credentials: dict[str, str]
) -> None:
    """Even for realms of the same name."""

    def caller(peer: Peer) -> None:
        invite = challenge_again(peer, peer.receive("INVITE"), f'{EDGE}"N1"')
        invite = challenge_again(peer, invite, f'{PBX}"N2"'.replace("pbx", "edge"))
        assert [(each.header, each.is_valid) for each in digests(invite)] == [
            ("Proxy-Authorization", True),
            ("Authorization", True),
        ]
        end(peer, invite)

    assert place(service, caller, credentials).status == 6


def test_the_same_challenge_again_means_a_wrong_password(
    service: SipService, credentials: dict[str, str]
) -> None:
    def caller(peer: Peer) -> None:
        invite = challenge_again(peer, peer.receive("INVITE"), f'{PBX}"N1"')
        peer.respond(invite, "401 Unauthorized", headers=(f'{PBX}"N2", stale=false',))
        while cseq(peer.receive("ACK")) != cseq(invite):
            pass

    call = place(service, caller, credentials)

    assert (call.status, call.hangup_cause) == (2, Cause.REJECTED)
    assert leg(call, Side.A).sip_status == 401


@pytest.mark.parametrize(
    "others",
    [
        ('WWW-Authenticate: Basic realm="pbx"',),
        ("WWW-Authenticate: Negotiate",),
        ('WWW-Authenticate: Digest realm="pbx", nonce="N0", algorithm=WHIRLPOOL',),
        ("WWW-Authenticate: Digest", 'WWW-Authenticate: Basic realm="other"'),
    ],
)
def test_the_digest_challenge_is_found_beside_others(
    service: SipService, credentials: dict[str, str], others: tuple[str, ...]
) -> None:
    def caller(peer: Peer) -> None:
        invite = challenge_again(peer, peer.receive("INVITE"), *others, f'{PBX}"N1"')
        assert [(each.fields["nonce"], each.is_valid) for each in digests(invite)] == [("N1", True)]
        end(peer, invite)

    assert place(service, caller, credentials).status == 6


def test_a_challenge_without_digest_ends_the_leg(
    service: SipService, credentials: dict[str, str]
) -> None:
    def caller(peer: Peer) -> None:
        basic = 'WWW-Authenticate: Basic realm="pbx"'
        peer.respond(peer.receive("INVITE"), "401 Unauthorized", headers=(basic,))
        peer.receive("ACK")

    call = place(service, caller, credentials)

    assert (call.status, call.hangup_cause) == (2, Cause.REJECTED)


def test_a_challenge_stops_the_timeout_for_any_response(
    service: SipService, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_leg, "NO_REPLY", 1.5)

    def caller(peer: Peer) -> None:
        invite = challenge(peer, "INVITE")
        for _ in range(2):  # repeated after half a second, and after one more
            assert peer.receive("INVITE", skip=("ACK",)) == invite
        peer.expect_nothing(0.5)
        end(peer, invite)

    assert place(service, caller, credentials).status == 6


def test_a_challenge_to_a_canceled_invite_is_not_answered(
    service: SipService, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would cancel the new one, so the phone would ring for nothing."""

    def caller(peer: Peer) -> None:
        invite = peer.receive("INVITE")
        peer.respond(invite, "100 Trying")
        peer.respond(peer.receive("CANCEL", skip=("INVITE",)), "200 OK")
        peer.respond(invite, "407 Proxy Authentication Required", headers=(CHALLENGE,))
        peer.receive("ACK", skip=("CANCEL", "INVITE"))
        peer.expect_nothing(1.0)

    call = place(service, caller, {**credentials, "progress_timeout": 1})

    assert (call.status, call.hangup_cause) == (2, Cause.GATEWAY_DOWN)
