"""Challenges with 407, as proxies send them. The digests (RFC 2617) are computed independently."""

from __future__ import annotations

import re
from hashlib import md5

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from .conftest import A, SipService, leg
from .peer import SDP, Peer, running_peer
from .phones import NONCE, PASSWORD, REALM, USERNAME

pytestmark = [
    pytest.mark.needs("sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CHALLENGE = f'Proxy-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", qop="auth"'


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("TRUNK_PASSWORD", PASSWORD)
    return {"username": USERNAME, "password_variable": "TRUNK_PASSWORD"}


def has_valid_digest(request: str) -> bool:
    """Whether the request's digest matches `USERNAME` and `PASSWORD`."""
    found = re.search(r"^Proxy-Authorization: Digest (.*)$", request, re.MULTILINE)
    assert found, request
    fields = dict(re.findall(r'(\w+)="?([^",]*)"?', found[1]))

    def digest(*parts: str) -> str:
        return md5(":".join(parts).encode()).hexdigest()

    identity = digest(USERNAME, REALM, PASSWORD)
    target = digest(request.partition(" ")[0], fields["uri"])
    nonce_count = (fields["nc"], fields["cnonce"], fields["qop"])
    return fields["response"] == digest(identity, NONCE, *nonce_count, target)


def challenge(peer: Peer, method: str) -> str:
    """Challenge a request with 407. Return the new request, with credentials."""
    request = peer.receive(method, skip=("ACK",))
    peer.respond(request, "407 Proxy Authentication Required", headers=(CHALLENGE,))
    again = peer.receive(method, skip=("ACK", request))
    assert again != request
    return again


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

    assert (call.status, call.hangup_cause) == (6, Cause.NO_GATEWAY)


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
    monkeypatch.setenv("TRUNK_PASSWORD", "wrong")

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
