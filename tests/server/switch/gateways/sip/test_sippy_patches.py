"""The defects of sippy that `sippy_patches` works around are still there.

A test that fails means that sippy has fixed its defect: delete the patch and the test.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from django_poketalk.server.switch.gateways.sip import thread

from .peer import SDP

pytestmark = [
    pytest.mark.needs("sippy"),
    # sippy leaves a socket open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

BODY = SDP.replace("\n", "\r\n") + "\r\n"
PEER = ("127.0.0.1", 5090)


def in_sip_thread(test: Callable[..., None]) -> Callable[..., None]:
    """Run the test in the SIP thread: sippy uses the thread that creates the first `Timeout`."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        thread.submit(functools.partial(test, **fixtures)).result(20)

    return run


class Dialog:
    """sippy's unpatched user agent and transaction manager, with lists instead of a socket."""

    def __init__(
        self, on_event: Callable[[Any, Any], None] = lambda event, agent: None, patch: Any = None
    ) -> None:
        from sippy.SipTransactionManager import SipTransactionManager
        from sippy.UA import UA
        from sippy.Udp_server import Udp_server_opts

        self.sent: list[str] = []
        self.events: list[Any] = []
        self.server = Mock()
        self.server.getSIPaddr.return_value = (("127.0.0.1", 5060), "udp")
        self.server.transport = "udp"
        self.server.send_to = lambda data, address: self.sent.append(data)

        class Transactions(patch or SipTransactionManager):  # type: ignore[misc]
            model_udp_server = (lambda config, options: self.server, Udp_server_opts)

        def take_event(event: Any, agent: Any) -> None:
            self.events.append(event)
            on_event(event, agent)

        config: dict[str, Any] = {
            "_sip_address": "127.0.0.1",
            "_sip_port": 5060,
            "_sip_logger": Mock(),
        }
        self.transactions = config["_sip_tm"] = Transactions(config)
        self.agent = UA(config, take_event, username="me", password="secret", nh_address=PEER)

    def invite(self) -> Dialog:
        from sippy.CCEvents import CCEventTry

        self.agent.recvEvent(CCEventTry((None, "1", "2", _body(BODY), None, None)))
        return self

    def offer(self) -> None:
        from sippy.CCEvents import CCEventUpdate

        self.agent.recvEvent(CCEventUpdate(_body(BODY.replace("RTP/AVP 8", "RTP/AVP 0"))))

    def answer(
        self, status: str = "200 OK", *headers: str, body: str = BODY, kind: str = "application/sdp"
    ) -> Dialog:
        """Respond to the last request that was sent."""
        request = next(each for each in reversed(self.sent) if not each.startswith("ACK"))
        names = ("Via", "From", "To", "Call-ID", "CSeq")
        lines = [line for line in request.split("\r\n") if line.startswith(names)]
        lines = [
            f"{line};tag=peer" if line.startswith("To") and ";tag=" not in line else line
            for line in lines
        ]
        if not any(header.startswith("Contact") for header in headers):
            lines.append(f"Contact: <sip:{PEER[0]}:{PEER[1]}>")
        return self._receive([f"SIP/2.0 {status}", *lines, *headers], body, kind)

    def request(self, method: str) -> None:
        """Receive a request from the peer in the dialog, without a body."""
        agent = self.agent
        lines = [
            f"{method} sip:1@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/UDP {PEER[0]}:{PEER[1]};branch=z9hG4bK{method}",
            f"From: {agent.rUri}",
            f"To: {agent.lUri}",
            f"Call-ID: {agent.cId}",
            f"CSeq: 7 {method}",
            f"Contact: <sip:{PEER[0]}:{PEER[1]}>",
        ]
        self._receive(lines, "")

    def _receive(self, lines: list[str], body: str, kind: str = "application/sdp") -> Dialog:
        from sippy.Network_server import Remote_address
        from sippy.Time.MonoTime import MonoTime

        content_type = [f"Content-Type: {kind}"] if body else []
        message = "\r\n".join([*lines, *content_type, f"Content-Length: {len(body)}", "", body])
        source = Remote_address(PEER, "udp")
        self.transactions.handleIncoming(message.encode(), source, self.server, MonoTime())
        return self

    def methods(self) -> list[str]:
        return [message.split(" ")[0] for message in self.sent]


def _body(text: str) -> Any:
    from sippy.MsgBody import MsgBody

    body = MsgBody(text)
    body.needs_update = False
    return body


@in_sip_thread
def test_bye_before_ack() -> None:
    from sippy.CCEvents import CCEventConnect

    def hang_up(event: Any, agent: Any) -> None:
        if isinstance(event, CCEventConnect):
            agent.disconnect()

    assert Dialog(hang_up).invite().answer().methods() == ["INVITE", "BYE", "ACK"]


@in_sip_thread
def test_digest() -> None:
    dialog = Dialog().invite()
    for challenge in ('nonce="1"', 'nonce="2",stale=true'):
        header = f'WWW-Authenticate: Digest realm="r",{challenge}'
        dialog.answer("401 Unauthorized", header, body="")

    assert dialog.methods() == ["INVITE", "INVITE", "ACK", "ACK"]


@in_sip_thread
def test_early_answer() -> None:
    dialog = Dialog().invite().answer("183 Session Progress").answer(body="")

    assert dialog.agent.rSDP is None


@in_sip_thread
def test_ack_route() -> None:
    dialog = Dialog().invite().answer("486 Busy Here", "Record-Route: <sip:127.0.0.1:5099;lr>")

    assert "\r\nRoute: <sip:127.0.0.1:5099;lr>" in dialog.sent[-1]


@in_sip_thread
def test_contact_name() -> None:
    assert "\r\nContact: Anonymous <" in Dialog().invite().sent[0]


@in_sip_thread
def test_empty_ack() -> None:
    from sippy.SipRequest import SipRequest
    from sippy.Time.MonoTime import MonoTime

    dialog = Dialog().invite().answer()
    assert str(dialog.agent.rSDP) == BODY
    ack = SipRequest(method="ACK", ruri=dialog.agent.rTarget, to=dialog.agent.lUri)
    ack.rtime = MonoTime()
    dialog.agent.recvACK(ack)

    assert dialog.agent.rSDP is None


@in_sip_thread
def test_invite_expiry() -> None:
    dialog = Dialog().invite()

    assert "\r\nExpires: 300\r\n" in dialog.sent[0]
    assert [each.expires for each in dialog.transactions.tclient.values()] == [300]


@in_sip_thread
def test_message_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        Dialog().transactions.handleIncoming(b"\xe4" * 40, None, None, Mock())


@in_sip_thread
def test_multipart_body() -> None:
    parts = f"--x\r\nContent-Type: application/sdp\r\n\r\n{BODY}\r\n--x--\r\n"
    dialog = Dialog().invite().answer(body=parts, kind="multipart/mixed;boundary=x")

    assert str(dialog.agent.rSDP) == parts


@in_sip_thread
def test_refused_offer() -> None:
    dialog = Dialog().invite().answer()
    dialog.offer()
    dialog.answer("488 Not Acceptable Here", body="")

    assert dialog.agent.isConnected()
    assert dialog.agent.lSDP is None


@in_sip_thread
def test_reason_headers() -> None:
    reasons = ("Reason: SIP;cause=480", "Reason: Q.850;cause=20")
    dialog = Dialog().invite().answer("480 Temporarily Unavailable", *reasons, body="")

    assert dialog.events[-1].reason_rfc3326.protocol == "SIP"


@in_sip_thread
def test_reinvite_without_offer() -> None:
    dialog = Dialog().invite().answer()
    dialog.request("INVITE")

    assert "c=IN IP4 0.0.0.0" in str(dialog.events[-1].getData())


@pytest.mark.parametrize("method", ["UPDATE", "PRACK", "MESSAGE", "FOO"])
@in_sip_thread
def test_request_methods(method: str) -> None:
    dialog = Dialog().invite().answer()
    before = len(dialog.sent)
    dialog.request(method)

    assert len(dialog.sent) == before


@pytest.mark.parametrize("is_patched", [False, True])
@in_sip_thread
def test_same_invite(is_patched: bool) -> None:
    from sippy.Network_server import Remote_address
    from sippy.Time.MonoTime import MonoTime

    taken: list[Any] = []

    def refuse(request: Any, transaction: Any) -> Any:
        taken.append(transaction)
        return (request.genResponse(481, "Does Not Exist"), None, None)

    from django_poketalk.server.switch.gateways.sip.sippy_patches.same_invite import SameInvite

    dialog = Dialog(patch=SameInvite if is_patched else None)
    dialog.transactions.req_cb = refuse
    timers: list[Any] = []
    for branch in ("first", "second"):
        lines = [
            "INVITE sip:us@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:5090;branch={branch}",
            "From: <sip:them@127.0.0.1>;tag=1",
            "To: <sip:us@127.0.0.1>;tag=2",
            "Call-ID: 1",
            "CSeq: 1 INVITE",
        ]
        data = "\r\n".join([*lines, "", ""]).encode()
        source = Remote_address(PEER, "udp")
        dialog.transactions.handleIncoming(data, source, dialog.server, MonoTime())
        timers = timers or [taken[0].teA, taken[0].teD]

    second = taken[1]
    assert list(dialog.transactions.tserver.values()) == [second]
    assert [timer.cb_func is None for timer in timers] == [is_patched] * 2
    for transaction in [second] if is_patched else taken:
        transaction.teA.cancel()
        transaction.teD.cancel()


@in_sip_thread
def test_shutdown() -> None:
    dialog = Dialog().invite()
    [transaction] = dialog.transactions.tclient.values()
    dialog.transactions.shutdown()

    assert transaction.teA.cb_func is not None
    transaction.teA.cancel()
    transaction.teB.cancel()
    with pytest.raises(AttributeError):
        dialog.transactions.unregConsumer(dialog.agent, str(dialog.agent.cId))


@in_sip_thread
def test_transport() -> None:
    dialog = Dialog().invite().answer("200 OK", "Contact: <sip:127.0.0.1:5090;transport=tcp>")

    with pytest.raises(RuntimeError, match="unsupported transport"):
        dialog.agent.disconnect()


# Patches of sippy's own modules; each test runs in a separate process

BROKEN_MESSAGES = """
from sippy.SipRequest import SipRequest

required = "Via: SIP/2.0/UDP 1;branch=1\\nFrom: <sip:1>\\nTo: <sip:1>\\nCall-ID: 1\\nCSeq: 1 BYE"
SipRequest(f"BYE sip:1 SIP/2.0\\n{required}\\nX-Broken: 1")
try:
    SipRequest(f"BYE sip:1 SIP/2.0\\n{required}\\nX-Broken")
except ValueError:
    print("not enough values")
"""
CLOCK = """
from sippy.Time import MonoTime, clock_dtime

calls, real = [], clock_dtime.clock_gettime
clock_dtime.clock_gettime = lambda *args: calls.append(args) or real(*args)
MonoTime.MonoTime()
assert len(calls) == 2
"""
RANDOM_TOKENS = """
import secrets
from sippy.SipCallId import SipCallId

calls, real = [], secrets.token_bytes
secrets.token_bytes = lambda count: calls.append(count) or real(count)
SipCallId(), SipCallId()
assert calls == [16, 16]
"""
LOCAL_ADDRESSES = """
from sippy.SipURL import SipURL

class Host(str):
    def __dir__(self):
        calls.append(self)
        return super().__dir__()

calls = []
SipURL(host=Host("example.com")).localStr((("127.0.0.1", 5060), "udp"))
assert calls
"""
STANDARD_OUTPUT = """
from sippy.Core.EventDispatcher import ED2

ED2.dispatchThreadCallback(lambda: 1 / 0, ())
"""
DISPATCHER = """
import threading
from sippy.Time.Timeout import Timeout  # in the main thread

thread = threading.Thread(target=Timeout, args=(print, 1))
thread.start()
thread.join()
"""
UDP_SERVER = """
import threading
from sippy.Udp_server import Udp_server, Udp_server_opts

died = threading.Event()
threading.excepthook = lambda args: args.exc_type is OverflowError and died.set()
server = Udp_server({}, Udp_server_opts(("127.0.0.1", 0), print))
server.send_to(b"lost", ("127.0.0.1", 99_999))
assert died.wait(10)
"""


@pytest.mark.parametrize(
    ("script", "output"),
    [
        pytest.param(BROKEN_MESSAGES, "not enough values", id="broken_messages"),
        pytest.param(CLOCK, "", id="clock"),
        pytest.param(RANDOM_TOKENS, "", id="random_tokens"),
        pytest.param(LOCAL_ADDRESSES, "", id="local_addresses"),
        pytest.param(STANDARD_OUTPUT, "ZeroDivisionError", id="standard_output"),
        pytest.param(DISPATCHER, "Bad Stuff", id="dispatcher"),
        pytest.param(UDP_SERVER, "", id="udp_server"),
    ],
)
def test_process_wide(script: str, output: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport os, sys; sys.stdout.flush(); os._exit(0)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert output in done.stdout
