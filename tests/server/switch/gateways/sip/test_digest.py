"""Challenges by 407, as proxies send them: digest (RFC 2617) worked out anew, and compared."""

from __future__ import annotations

import re
from hashlib import md5

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Cause, Side

from .conftest import A, Lines, leg
from .peer import DESCRIPTION, Peer, playing
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


def is_right(request: str) -> bool:
    """Whether the request's credentials are those of `USERNAME` and `PASSWORD`."""
    found = re.search(r"^Proxy-Authorization: Digest (.*)$", request, re.MULTILINE)
    assert found, request
    told = dict(re.findall(r'(\w+)="?([^",]*)"?', found[1]))

    def digest(*parts: str) -> str:
        return md5(":".join(parts).encode()).hexdigest()

    identity = digest(USERNAME, REALM, PASSWORD)
    what = digest(request.partition(" ")[0], told["uri"])
    once = (told["nc"], told["cnonce"], told["qop"])
    return told["response"] == digest(identity, NONCE, *once, what)


def challenged(peer: Peer, method: str) -> str:
    """The request that answers a challenge by 407."""
    request = peer.gets(method, past=("ACK",))
    peer.answers(request, "407 Proxy Authentication Required", headers=(CHALLENGE,))
    again = peer.gets(method, past=("ACK", request))
    assert again != request
    return again


def test_407_is_answered_for_invite_and_for_bye(lines: Lines, credentials: dict[str, str]) -> None:
    def caller(peer: Peer) -> None:
        invite = challenged(peer, "INVITE")
        assert is_right(invite)
        peer.answers(invite, "200 OK", DESCRIPTION)
        bye = challenged(peer, "BYE")
        assert is_right(bye)
        peer.answers(bye, "200 OK")

    with playing(caller) as (port, a):
        lines.gateway(A, port, **credentials)
        call = lines.place()  # there is no way to B
        a.result(20)

    assert (call.status, call.hangup_cause) == (6, Cause.NO_GATEWAY)


def test_a_bye_is_answered_for_once(lines: Lines, credentials: dict[str, str]) -> None:
    """A trunk that is never content would be asked for ever."""

    def caller(peer: Peer) -> None:
        peer.answers(peer.gets("INVITE"), "200 OK", DESCRIPTION)
        bye = challenged(peer, "BYE")
        peer.answers(bye, "407 Proxy Authentication Required", headers=(CHALLENGE,))
        peer.hears_nothing(1.0)

    with playing(caller) as (port, a):
        lines.gateway(A, port, **credentials)
        lines.place()  # there is no way to B
        a.result(20)


def test_after_a_wrong_password_the_call_is_not_tried_again(
    lines: Lines, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", "wrong")

    def caller(peer: Peer) -> None:
        invite = challenged(peer, "INVITE")
        assert not is_right(invite)
        peer.answers(invite, "407 Proxy Authentication Required", headers=(CHALLENGE,))
        peer.gets("ACK")

    with playing(caller) as (port, a):
        lines.gateway(A, port, **credentials)
        call = lines.place()
        a.result(20)

    assert (call.status, call.hangup_cause) == (2, Cause.REJECTED)
    assert leg(call, Side.A).sip_status == 407
