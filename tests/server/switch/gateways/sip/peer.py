"""A phone made of a bare socket, for what SIPp takes into its own hands: messages that are lost or
come twice.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

DESCRIPTION = (
    "v=0\no=peer 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 8"
)
DIALOG = ("Via", "From", "To", "Call-ID", "CSeq")


class Peer:
    """One end of a dialog, on `port`. Messages are text with LF; each wait ends after a while."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self.port = int(bound.getsockname()[1])
        self.contact = f"<sip:127.0.0.1:{self.port}>"
        self._other: tuple[str, int] = ("", 0)

    def gets(self, start: str, past: tuple[str, ...] = ()) -> str:
        """The next message, which is to start so; but for those that are sent again meanwhile."""
        while True:
            data, self._other = self._socket.recvfrom(65_535)
            message = data.decode().replace("\r\n", "\n")
            if message.startswith(start):
                return message
            assert message.startswith(past), message

    def hears_nothing(self, seconds: float) -> None:
        """Whatever should come for so long is an error."""
        before = self._socket.gettimeout()
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(65_535)
        except TimeoutError:
            self._socket.settimeout(before)
        else:
            raise AssertionError(data.decode())

    def answers(
        self,
        request: str,
        status: str,
        body: str = "",
        headers: tuple[str, ...] = (),
        kind: str = "application/sdp",
    ) -> None:
        """Send a response to a request; `kind` is the body's."""
        lines = [header for header in request.split("\n") if header.startswith(DIALOG)]
        to = next(line for line in lines if line.startswith("To:"))
        if ";tag=" not in to:
            lines[lines.index(to)] = f"{to};tag=peer"
        self._send(f"SIP/2.0 {status}", [*lines, *headers], body, kind)

    def requests(self, method: str, invite: str, cseq: int = 2) -> None:
        """Send a request of its own in the dialog that this INVITE began."""
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
        typed = [f"Content-Type: {kind}"] if body else []
        body = body.replace("\n", "\r\n") + "\r\n" if body else ""
        length = f"Content-Length: {len(body.encode())}"
        head = "\r\n".join([start, *lines, contact, *typed, length])
        self._socket.sendto(f"{head}\r\n\r\n{body}".encode(), self._other)


Part = Callable[[Peer], None]


@contextmanager
def playing(part: Part) -> Iterator[tuple[int, Future[None]]]:
    """A peer that plays this part in a thread: its port, and what came of it."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound,
        ThreadPoolExecutor(1) as thread,
    ):
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(20)
        yield bound.getsockname()[1], thread.submit(part, Peer(bound))
