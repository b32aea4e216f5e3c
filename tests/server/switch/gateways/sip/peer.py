"""A phone on a plain UDP socket, for what SIPp handles by itself: lost and repeated messages."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

SDP = "v=0\no=peer 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 8"
COPIED_HEADERS = ("Via", "From", "To", "Call-ID", "CSeq")


class Peer:
    """One end of a dialog, on `port`.

    Messages are text with LF line ends. Waiting for a message fails after the socket's timeout.
    Without `contact`, messages have no Contact header.
    """

    def __init__(self, bound: socket.socket, remote: tuple[str, int] = ("", 0)) -> None:
        self._socket = bound
        self.port = int(bound.getsockname()[1])
        self.contact = f"<sip:127.0.0.1:{self.port}>"
        self.received = b""  # the last message, as it was sent
        self._remote = remote

    def receive(self, start: str, skip: tuple[str, ...] = ()) -> str:
        """Return the next message, which must start with `start`.

        Messages that start with one of `skip`, such as retransmissions, are skipped.
        """
        while True:
            self.received, self._remote = self._socket.recvfrom(65_535)
            message = self.received.decode().replace("\r\n", "\n")
            if message.startswith(start):
                return message
            assert message.startswith(skip), message

    def expect_nothing(self, seconds: float) -> None:
        """Fail if a message arrives within this time."""
        before = self._socket.gettimeout()
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(65_535)
        except TimeoutError:
            self._socket.settimeout(before)
        else:
            raise AssertionError(data.decode())

    def expect_only(self, start: str, seconds: float) -> None:
        """Respond with 200 to requests that start with `start`, and fail at any other message."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.respond(self.receive(start), "200 OK")

    def respond(
        self,
        request: str,
        status: str,
        body: str = "",
        headers: tuple[str, ...] = (),
        kind: str = "application/sdp",
        exact: bool = False,
        tag: str = "peer",
    ) -> None:
        """Respond to a request. `kind` is the content type of the body, which is sent with CR LF
        line ends, or as it is if `exact`. `tag` is that of the To header, if there is none yet.
        """
        lines = [header for header in request.split("\n") if header.startswith(COPIED_HEADERS)]
        to = next(line for line in lines if line.startswith("To:"))
        if ";tag=" not in to:
            lines[lines.index(to)] = f"{to};tag={tag}"
        if body and not exact:
            body = body.replace("\n", "\r\n") + "\r\n"
        self._send(f"SIP/2.0 {status}", [*lines, *headers], body, kind)

    def send_request(
        self,
        method: str,
        invite: str,
        cseq: int = 2,
        headers: tuple[str, ...] = (),
        body: str = "",
    ) -> None:
        """Send a request in the dialog that this INVITE created. The body has LF line ends."""
        named = dict(re.findall(r"^([\w-]+): (.*)$", invite, re.MULTILINE))
        branch = re.sub(r"\W", "", f"z9hG4bK{method}{cseq}{named['Call-ID']}")
        lines = [
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch}",
            f"From: {named['To'].partition(';tag=')[0]};tag=peer",
            f"To: {named['From']}",
            f"Call-ID: {named['Call-ID']}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            *headers,
        ]
        text = body.replace("\n", "\r\n") + "\r\n" if body else ""
        self._send(f"{method} sip:switch@127.0.0.1 SIP/2.0", lines, text)

    def _send(self, start: str, lines: list[str], body: str, kind: str = "application/sdp") -> None:
        contact = [f"Contact: {self.contact}"] if self.contact else []
        content_type = [f"Content-Type: {kind}"] if body else []
        length = f"Content-Length: {len(body.encode())}"
        head = "\r\n".join([start, *lines, *contact, *content_type, length])
        self._socket.sendto(f"{head}\r\n\r\n{body}".encode(), self._remote)


Script = Callable[[Peer], None]


@contextmanager
def running_peer(script: Script) -> Iterator[tuple[int, Future[None]]]:
    """Run a peer's script in a thread. Yield its port, and a future that is done when it ends."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound,
        ThreadPoolExecutor(1) as thread,
    ):
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(60)  # on a busy host, a switch takes long to start
        yield bound.getsockname()[1], thread.submit(script, Peer(bound))


def answer(peer: Peer) -> None:
    """Answer a call."""
    peer.respond(peer.receive("INVITE"), "200 OK", SDP)
    peer.receive("ACK")


def stay(peer: Peer) -> None:
    """Stay in the call until it is hung up."""
    while True:
        request = peer.receive("", skip=("ACK",))
        if request.startswith("ACK"):
            continue
        peer.respond(request, "200 OK", SDP if request.startswith("INVITE") else "")
        if request.startswith("BYE"):
            return


def talk(peer: Peer) -> None:
    answer(peer)
    stay(peer)
