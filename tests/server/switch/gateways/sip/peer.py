"""A phone on a plain UDP socket, for what SIPp handles by itself: lost and repeated messages."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

SDP = "v=0\no=peer 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 8"
COPIED_HEADERS = ("Via", "From", "To", "Call-ID", "CSeq")


class Peer:
    """One end of a dialog, on `port`.

    Messages are text with LF line ends. Waiting for a message fails after the socket's timeout.
    """

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self.port = int(bound.getsockname()[1])
        self.contact = f"<sip:127.0.0.1:{self.port}>"
        self._remote: tuple[str, int] = ("", 0)

    def receive(self, start: str, skip: tuple[str, ...] = ()) -> str:
        """Return the next message, which must start with `start`.

        Messages that start with one of `skip`, such as retransmissions, are skipped.
        """
        while True:
            data, self._remote = self._socket.recvfrom(65_535)
            message = data.decode().replace("\r\n", "\n")
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

    def respond(
        self,
        request: str,
        status: str,
        body: str = "",
        headers: tuple[str, ...] = (),
        kind: str = "application/sdp",
    ) -> None:
        """Respond to a request. `kind` is the content type of the body."""
        lines = [header for header in request.split("\n") if header.startswith(COPIED_HEADERS)]
        to = next(line for line in lines if line.startswith("To:"))
        if ";tag=" not in to:
            lines[lines.index(to)] = f"{to};tag=peer"
        self._send(f"SIP/2.0 {status}", [*lines, *headers], body, kind)

    def send_request(self, method: str, invite: str, cseq: int = 2) -> None:
        """Send a request in the dialog that this INVITE created."""
        headers = dict(re.findall(r"^([\w-]+): (.*)$", invite, re.MULTILINE))
        lines = [
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{method}{cseq}",
            f"From: {headers['To'].partition(';tag=')[0]};tag=peer",
            f"To: {headers['From']}",
            f"Call-ID: {headers['Call-ID']}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
        ]
        self._send(f"{method} sip:switch@127.0.0.1 SIP/2.0", lines, "")

    def _send(self, start: str, lines: list[str], body: str, kind: str = "application/sdp") -> None:
        contact = f"Contact: {self.contact}"
        content_type = [f"Content-Type: {kind}"] if body else []
        body = body.replace("\n", "\r\n") + "\r\n" if body else ""
        length = f"Content-Length: {len(body.encode())}"
        head = "\r\n".join([start, *lines, contact, *content_type, length])
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
        bound.settimeout(20)
        yield bound.getsockname()[1], thread.submit(script, Peer(bound))
