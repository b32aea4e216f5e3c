"""The configuration files of the guide, in the real Asterisk."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import Answered, Cause, Failed, Side

from ..sip.peer import SDP
from . import real_asterisk
from .channels import Phone
from .conftest import REAL
from .fake_switch import A, FakeSwitch, run, until
from .real_asterisk import RealAsterisk
from .sip_phones import header

pytestmark = list(REAL.marks)

GUIDE = Path(__file__).parents[5] / "docs/howto/asterisk"
TRUNK = {"endpoint": "PJSIP/{number}@carrier", "add": "+"}
# Addresses and passwords of the guide → the test's
CHANGES = {
    "0.0.0.0:5060": "@SIP_HOST@:@SIP_PORT@",
    "contact=sip:192.0.2.10:5060": "contact=sip:@TRUNK@",
    "match=192.0.2.10": "match=127.0.0.1",
    "contact=sip:192.0.2.20:5060": "contact=sip:@DEADTRUNK@",
    "match=192.0.2.20": "match=127.0.0.2",
    "bindaddr=127.0.0.1": "bindaddr=@ARI_HOST@",
    "bindport=8088": "bindport=@ARI_PORT@",
    "a-long-random-password": RealAsterisk.password,
}
WATCHER = "\n[watch]\ntype=user\nread_only=no\npassword=watch\n"
CHANGED = {("poketalk", "auth"), ("poketalk", "qualify_frequency")}
EXPECTED = {"yes": "true", "no": "false", "alaw,ulaw": "(alaw|ulaw)", "3.0": "3.000000"}


def guide(*names: str) -> str:
    text = "\n".join((GUIDE / name).read_text() for name in names)
    for documented, tested in CHANGES.items():
        text = text.replace(documented, tested)
    return text


def options(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Each option as section, type, name and value."""
    for section, kind, body in re.findall(
        r"^\[([\w-]+)\](?:\n|\(\+)type=(\w+)\)?[^\n]*\n((?:[^\[\n][^\n]*\n|\n)*)",
        text,
        re.MULTILINE,
    ):
        for name, value in re.findall(r"^(\w+)=(.*?)\s*(?:;.*)?$", body, re.MULTILINE):
            yield section, kind, name, value


@pytest.fixture(scope="module")
def pbx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAsterisk]:
    """Asterisk with the files of the guide. What FreePBX's file adds is left out of the others."""
    folder = tmp_path_factory.mktemp("conf")
    shutil.copytree(real_asterisk.FOLDER / "conf", folder, dirs_exist_ok=True)
    main, _, rest = guide("pjsip.conf", "pjsip-switch.conf").partition("[poketalk]")
    main = re.sub(r"^(allow_transfer|redirect_method)=.*\n", "", main, flags=re.MULTILINE)
    # The switch's endpoint needs no password here, and is found dead within seconds.
    rest = rest.replace("\nauth=poketalk", "", 1).replace("frequency=30", "frequency=1")
    added = guide("pjsip.endpoint_custom_post.conf")
    (folder / "pjsip.conf").write_text(f"{main}[poketalk]{rest}\n{added}")
    (folder / "http.conf").write_text(guide("http.conf"))
    (folder / "ari.conf").write_text(guide("ari.conf") + WATCHER)
    (folder / "extensions.conf").write_text(guide("extensions.conf"))
    with real_asterisk.asterisk(folder) as pbx:
        yield pbx


@pytest.fixture(autouse=True)
def _nothing_left(pbx: RealAsterisk) -> Iterator[None]:
    yield
    assert pbx.end_test() == []


def test_asterisk_accepts_every_line(pbx: RealAsterisk) -> None:
    problems = [line for line in pbx.output.splitlines() if re.search("WARNING|ERROR", line)]
    # Two optional parts that the tests' Asterisk may lack, and the order in which it loads others
    allowed = "musiconhold|res_srtp|PJSIP_SAFE_MODULE"
    assert [line for line in problems if not re.search(allowed, line)] == []

    text = guide("pjsip.conf", "pjsip-switch.conf", "pjsip.endpoint_custom_post.conf")
    found: dict[tuple[str, str], dict[str, str]] = {}
    checked = 0
    for section, kind, name, value in options(text):
        if kind in ("endpoint", "aor", "auth") and name not in ("disallow", "contact"):
            if (kind, section) not in found:
                path = f"asterisk/config/dynamic/res_pjsip/{kind}/{section}"
                found[kind, section] = {each["attribute"]: each["value"] for each in pbx.get(path)}
            if (section, name) in CHANGED:
                continue
            actual = found[kind, section][name]
            assert actual.replace('"', "") == EXPECTED.get(value, value), (section, name)
            checked += 1
    assert checked > 40


def test_the_caller_id_has_a_plus(pbx: RealAsterisk) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        for ending in ("99", "98"):
            invite = pbx.phone_call(ending).invite if ending == "99" else pbx.phone_calls[1].invite
            assert invite.startswith("INVITE sip:+44")
            assert "<sip:+44" in header(invite, "From")
            assert "<sip:+44" in header(invite, "P-Asserted-Identity")

    run(pbx, script, **TRUNK)


def test_a_transfer_is_refused(pbx: RealAsterisk) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        call = pbx.phone_calls[1]
        pbx.do(pbx.carrier.transfer, call, "442079460196")
        await until(lambda: "REFER 603" in call.responses)
        assert len(pbx.channels) == 2

    run(pbx, script, **TRUNK)


def test_a_forward_is_followed_by_the_same_leg(pbx: RealAsterisk) -> None:
    pbx.phones = {"97": Phone(forwards="96")}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "97")
        await until(lambda: any(isinstance(fact, Answered) for fact in switch.facts))
        assert list(pbx.channels) == [f"{switch.app}.17.1.A1"]
        assert pbx.phone_calls[-1].ending == "96"

    run(pbx, script, **TRUNK)


@pytest.mark.parametrize("endpoint", ["PJSIP/{number}@poketalk", "PJSIP/1001"])
def test_a_dead_trunk_and_a_phone_that_is_not_registered_are_unreachable_at_once(
    pbx: RealAsterisk, endpoint: str
) -> None:
    """The trunk, as soon as its first OPTIONS was not answered (`qualify_timeout`)."""

    async def script(switch: FakeSwitch) -> None:
        async with asyncio.timeout(10):
            for attempt in itertools.count(1):
                leg = replace(A, attempt=attempt)
                switch.ring(leg, endpoint=endpoint)
                with contextlib.suppress(TimeoutError):
                    [fact] = await switch.wait_for_facts(1, 0.5)
                    break
                switch.hang_up(leg)
        assert fact == Failed(Side.A, attempt, Cause.UNREACHABLE, transport=True)

    run(pbx, script)


def test_the_switch_as_a_sip_client_gets_the_ringing_tone(pbx: RealAsterisk) -> None:
    """183 with sound in place of 180."""
    pbx.phones = {"98": Phone(answers=None)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.2", 0))
        client.settimeout(10)
        host, port = client.getsockname()
        body = SDP.replace("\n", "\r\n") + "\r\n"

        def send(method: str) -> None:
            head = [
                f"{method} sip:442079460198@{pbx.sip[0]} SIP/2.0",
                f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKinband",
                f"From: <sip:442079460199@{host}>;tag=switch",
                f"To: <sip:442079460198@{pbx.sip[0]}>",
                "Call-ID: inband",
                f"CSeq: 1 {method}",
                f"Contact: <sip:{host}:{port}>",
                "Max-Forwards: 70",
            ]
            if method == "INVITE":
                head += ["Content-Type: application/sdp", f"Content-Length: {len(body)}", "", body]
            else:
                head += ["Content-Length: 0", "", ""]
            client.sendto("\r\n".join(head).encode(), pbx.sip)

        send("INVITE")
        responses = []
        while not responses or not responses[-1].startswith("SIP/2.0 183"):
            responses.append(client.recv(65_535).decode())
        assert "m=audio" in responses[-1]
        assert not any(each.startswith("SIP/2.0 180") for each in responses)
        send("CANCEL")
