"""The phones behind a real Asterisk's trunk: all on one UDP socket, each by its number."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import struct
import urllib.parse
from dataclasses import dataclass, field

from ..sip.peer import SDP, Peer
from .channels import Phone

RTP_HEADER = 12  # bytes
ANNOUNCEMENT = b"\x2a" * 160  # what a network plays, in 20 ms of PCMA

STATUSES = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    302: "Moved Temporarily",
    487: "Request Terminated",
}


def header(message: str, name: str) -> str:
    """The first header of this name, "" for none."""
    found = re.search(rf"^{name}: *(.*)$", message, re.MULTILINE | re.IGNORECASE)
    return found[1].strip() if found else ""


def tag(value: str) -> str:
    return value.partition(";tag=")[2].partition(";")[0]


@dataclass(eq=False)
class PhoneCall:
    """One call at a phone: the INVITE of Asterisk, and what has become of it. `rtp`: the number of
    RTP packets that the phone has received, `sound`: their contents. `responses`: to the phone's
    own requests.
    """

    number: str
    invite: str
    peer: Peer
    phone: Phone
    media: socket.socket
    answered: bool = False
    ended: bool = False
    rtp: int = 0
    sound: bytearray = field(default_factory=bytearray)
    responses: list[str] = field(default_factory=list)
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    cseq: int = 1
    played: int = 0

    @property
    def ending(self) -> str:
        """The last two digits of the number."""
        return self.number[-2:]

    @property
    def pbx(self) -> str:
        """The address of Asterisk."""
        return header(self.invite, "Via").split()[1].partition(";")[0]

    @property
    def sdp(self) -> str:
        return SDP.replace("4000", str(self.media.getsockname()[1]))

    def respond(self, status: int, body: str = "", headers: tuple[str, ...] = ()) -> None:
        """Respond to the INVITE."""
        reason = STATUSES.get(status, "Set by the test")
        self.peer.respond(self.invite, f"{status} {reason}", body, headers)

    def play(self) -> None:
        """Send 20 ms of `ANNOUNCEMENT` to Asterisk."""
        host, port = re.findall(r"c=IN IP4 (\S+)|m=audio (\d+)", self.invite)
        self.played += 1
        head = struct.pack("!BBHII", 0x80, 8, self.played, self.played * len(ANNOUNCEMENT), 7)
        self.media.sendto(head + ANNOUNCEMENT, (host[0], int(port[1])))

    def request(self, method: str, *headers: str) -> None:
        """Send a request in the dialog."""
        self.cseq += 1
        self.peer.send_request(method, self.invite, self.cseq, headers)


class SipPhones:
    """All phones of the carrier, on one port. Its methods must be called in the event loop.

    `phones`: their behavior, by the last two digits of the number; others answer and stay on the
    line. `calls`: all calls, also those that have ended, in their order.
    """

    def __init__(self) -> None:
        self.phones: dict[str, Phone] = {}
        self.calls: list[PhoneCall] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._consultations: dict[str, tuple[PhoneCall, str, tuple[str, int]]] = {}

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._receive)

    def reset(self) -> None:
        """Forget all calls and behaviors."""
        for call in self.calls:
            self.end(call)
        self.phones, self.calls = {}, []
        self._consultations.clear()

    def close(self) -> None:
        self.reset()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    # What the people do

    def answer(self, call: PhoneCall) -> None:
        if not (call.ended or call.answered):
            call.answered = True
            call.respond(200, call.sdp)
            if call.phone.talks is not None:
                self._later(call, call.phone.talks, self.hang_up)

    def hang_up(self, call: PhoneCall) -> None:
        """Hang up an answered call, or reject a ringing one."""
        if call.ended:
            return
        if call.answered:
            call.request("BYE")
        else:
            call.respond(call.phone.status)
        self.end(call)

    def transfer(self, call: PhoneCall, ending: str) -> None:
        """A blind transfer to the phone with these last digits."""
        number = f"{call.number[:-2]}{ending}"
        call.request("REFER", f"Refer-To: <sip:{number}@{call.pbx}>")

    def consult(self, call: PhoneCall, ending: str) -> None:
        """Call the phone with these last digits, and transfer the other phone to it when it has
        answered: an attended transfer.
        """
        number, pbx = f"{call.number[:-2]}{ending}", call.pbx
        host, port = pbx.split(":")
        call_id = secrets.token_hex(8)
        invite = "\r\n".join(
            [
                f"INVITE sip:{number}@{pbx} SIP/2.0",
                f"Via: SIP/2.0/UDP {self.address};branch=z9hG4bK{call_id}",
                f"From: <sip:{call.number}@{self.address}>;tag=peer",
                f"To: <sip:{number}@{pbx}>",
                f"Call-ID: {call_id}",
                "CSeq: 1 INVITE",
                f"Contact: <sip:{self.address}>",
                "Max-Forwards: 70",
                "Content-Type: application/sdp",
                f"Content-Length: {len(call.sdp) + call.sdp.count(chr(10)) + 2}",
                "",
                call.sdp.replace("\n", "\r\n") + "\r\n",
            ]
        )
        self._consultations[call_id] = (call, number, (host, int(port)))
        self._socket.sendto(invite.encode(), (host, int(port)))

    # What Asterisk sends

    def _receive(self) -> None:
        data, remote = self._socket.recvfrom(65_535)
        message = data.decode().replace("\r\n", "\n")
        if message.startswith("SIP/2.0 "):
            self._receive_response(message)
            return
        peer = Peer(self._socket, remote)
        call_id = header(message, "Call-ID")
        live = (each for each in self.calls if call_id in each.invite and not each.ended)
        call = next(live, None)  # Asterisk follows a forward in the same dialog
        match message.partition(" ")[0]:
            case "ACK":
                pass
            case "INVITE" if call is None:
                self._ring(peer, message)
            case "INVITE" if not tag(header(message, "To")):
                pass  # repeated
            case "CANCEL":
                peer.respond(message, "200 OK")
                if call is not None and not (call.answered or call.ended):
                    call.respond(487)
                    self.end(call)
            case "BYE":
                peer.respond(message, "200 OK")
                if call is not None:
                    self.end(call)
            case "NOTIFY" if call is not None:
                peer.respond(message, "200 OK")
                is_over = header(message, "Subscription-State").startswith("terminated")
                if is_over and "SIP/2.0 400" not in message:  # else Asterisk has refused it
                    self.hang_up(call)
            case method:
                is_invite = method == "INVITE" and call is not None
                peer.respond(message, "200 OK", call.sdp if is_invite and call else "")

    def _ring(self, peer: Peer, invite: str) -> None:
        number = invite.partition("sip:")[2].partition("@")[0]
        media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        media.bind(("127.0.0.1", 0))
        media.setblocking(False)
        phone = self.phones.get(number[-2:], Phone())
        call = PhoneCall(number, invite, peer, phone, media)
        self.calls.append(call)
        self._loop.add_reader(media, self._receive_media, call)
        call.respond(100)
        if phone.forwards:
            to = f"{number[:-2]}{phone.forwards}"
            peer.contact = f"<sip:{to}@{self.address}>"
            call.respond(302)
            self.end(call)
            return
        if phone.rings:
            call.respond(180)
        if phone.early_media:
            call.respond(183, call.sdp)
            self._play(call)
        if phone.answers is not None:
            self._later(call, phone.answers, self.answer)
        if phone.fails is not None:
            self._later(call, phone.fails, self.hang_up)

    def _play(self, call: PhoneCall) -> None:
        if not (call.answered or call.ended):
            call.play()
            self._later(call, 0.02, self._play)

    def _receive_media(self, call: PhoneCall) -> None:
        call.sound += call.media.recv(2048)[RTP_HEADER:]
        call.rtp += 1

    def _receive_response(self, message: str) -> None:
        status, method = message.split(" ")[1], header(message, "CSeq").split()[-1]
        call_id = header(message, "Call-ID")
        if call_id in self._consultations and (status, method) == ("200", "INVITE"):
            self._finish_consultation(call_id, message)
        for call in self.calls:
            if call_id in call.invite:
                call.responses.append(f"{method} {status}")

    def _finish_consultation(self, call_id: str, response: str) -> None:
        call, number, remote = self._consultations[call_id]
        pbx, to = f"{remote[0]}:{remote[1]}", header(response, "To")
        ack = [
            f"ACK sip:{number}@{pbx} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: {header(response, 'From')}",
            f"To: {to}",
            f"Call-ID: {call_id}",
            "CSeq: 1 ACK",
            "Max-Forwards: 70",
            "Content-Length: 0",
        ]
        self._socket.sendto(("\r\n".join(ack) + "\r\n\r\n").encode(), remote)
        replaces = urllib.parse.quote(f"{call_id};to-tag={tag(to)};from-tag=peer")
        refer_to = f"Refer-To: <sip:{number}@{pbx}?Replaces={replaces}>"
        # Asterisk refuses it until both phones of the second call are in a bridge.
        self._later(call, 0.2, lambda call: call.request("REFER", refer_to))

    def _later(self, call: PhoneCall, seconds: float, work: object) -> None:
        call.timers.append(self._loop.call_later(seconds, work, call))  # type: ignore[arg-type]

    def end(self, call: PhoneCall) -> None:
        """The phone is no longer on the line."""
        if not call.ended:
            call.ended = True
            for timer in call.timers:
                timer.cancel()
            self._loop.remove_reader(call.media)
            call.media.close()
