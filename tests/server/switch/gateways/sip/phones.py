"""Phones simulated by SIPp. Each runs a scenario: a list of steps.

A phone is the UAS of one dialog. It checks the messages that it receives, and its exit code is 0
only if they all match the scenario.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REALM = "trunk.example"
NONCE = "47ebe028cda119c35d4877b383027d28da013815"
USERNAME, PASSWORD = "trunkuser", "s3cret"
CHALLENGE = f'WWW-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", qop="auth", algorithm=MD5'

TAG = ";tag=[pid]Phone[call_number]"
VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
CONTACT = "Contact: <sip:[local_ip]:[local_port];transport=[transport]>"

Step = str


def sdp(version: int = 1, extra: str = "", formats: str = "8 0") -> str:
    lines = [
        "v=0",
        f"o=phone 1 {version} IN IP[local_ip_type] [local_ip]",
        "s=-",
        "c=IN IP[media_ip_type] [media_ip]",
        "t=0 0",
        f"m=audio [media_port] RTP/AVP {formats}",
        "a=rtpmap:8 PCMA/8000",
        *([extra] if extra else []),
    ]
    return "\n".join(lines)


def _message(start: str, headers: list[str], body: str = "") -> str:
    content_type = ["Content-Type: application/sdp"] if body else []
    lines = [
        start,
        *headers,
        *content_type,
        "Content-Length: [len]" if body else "Content-Length: 0",
    ]
    return "<![CDATA[\n" + "\n".join(lines) + "\n\n" + (body + "\n" if body else "") + "]]>"


def receive_invite(*, offer: str = "") -> Step:
    """Receive the initial INVITE. `offer` is a regular expression that its body must match."""
    actions = [_save("Via", "via"), _save("CSeq", "cseq"), _save("From", "from"), _save("To", "to")]
    if offer:
        actions.append(_check_body(offer))
    return (
        f'<recv request="INVITE" rrs="true"><action>{"".join(actions)}</action></recv>'
        f'<Reference variables="via,cseq,from,to{",checked" if offer else ""}"/>'
    )


def _save(header: str, name: str) -> str:
    return f'<ereg regexp=".*" search_in="hdr" header="{header}:" assign_to="{name}"/>'


def _check_body(pattern: str) -> str:
    return f'<ereg regexp="{pattern}" search_in="body" check_it="true" assign_to="checked"/>'


def respond_to_invite(
    status: str,
    body: str = "",
    *,
    headers: tuple[str, ...] = (),
    tag: str = TAG,
    saved_headers: bool = False,
) -> Step:
    """Respond to the initial INVITE.

    `saved_headers`: copy the headers that `receive_invite` saved, not those of the last message.
    Required if the phone has received another request since the INVITE.
    """
    to = "To:[$to]" if saved_headers else "[last_To:]"
    lines = [
        "Via:[$via]" if saved_headers else "[last_Via:]",
        "From:[$from]" if saved_headers else "[last_From:]",
        f"{to}{tag}",
        "[last_Call-ID:]",
        "CSeq:[$cseq]" if saved_headers else "[last_CSeq:]",
        "[last_Record-Route:]",
        CONTACT,
        *headers,
    ]
    retransmitted = ' retrans="500"' if status[0] > "1" else ""
    return f"<send{retransmitted}>{_message(f'SIP/2.0 {status}', lines, body)}</send>"


def respond(status: str, body: str = "", *, headers: tuple[str, ...] = ()) -> Step:
    """Respond to the last request in the dialog."""
    lines = [
        "[last_Via:]",
        "[last_From:]",
        "[last_To:]",
        "[last_Call-ID:]",
        "[last_CSeq:]",
        "[last_Record-Route:]",
        CONTACT,
        *headers,
    ]
    return f"<send>{_message(f'SIP/2.0 {status}', lines, body)}</send>"


def send_request(
    method: str, cseq: int, body: str = "", *, headers: tuple[str, ...] = (), retry: bool = True
) -> Step:
    """Send a request in the dialog. `retry`: retransmit it until a response arrives."""
    lines = [
        VIA,
        f"From:[$to]{TAG}",
        "To:[$from]",
        "[last_Call-ID:]",
        f"CSeq: {cseq} {method}",
        CONTACT,
        "Max-Forwards: 70",
        *headers,
    ]
    retransmitted = ' retrans="500"' if retry else ""
    return f"<send{retransmitted}>{_message(f'{method} [next_url] SIP/2.0', lines, body)}</send>"


def receive(request: str, *, body: str = "", header: tuple[str, str] | None = None) -> Step:
    """Wait for a request. `body` and `header` are regular expressions that it must match."""
    actions = _check_body(body) if body else ""
    if header:
        name, pattern = header
        actions += (
            f'<ereg regexp="{pattern}" search_in="hdr" header="{name}:" check_it="true"'
            ' assign_to="checked"/>'
        )
    action = f"<action>{actions}</action>" if actions else ""
    reference = '<Reference variables="checked"/>' if actions else ""
    return f'<recv request="{request}">{action}</recv>{reference}'


def receive_response(status: int) -> Step:
    return f'<recv response="100" optional="true"/><recv response="{status}"/>'


def pause(milliseconds: int) -> Step:
    return f'<pause milliseconds="{milliseconds}"/>'


def branch_on_digest(accept: Step, reject: Step) -> Step:
    """After `receive_with_digest`: one step if the credentials are valid, another if not."""
    # Jump from within the step: SIPp would treat an ACK during a separate jump step as unexpected.
    reject = reject.replace("<send", '<send next="end"', 1)
    return (
        '<nop hide="true" test="valid" next="accept"/>'
        f'{reject}<label id="accept"/>{accept}<label id="end"/>'
    )


def receive_with_digest(request: str) -> Step:
    """Wait for a request, and verify its credentials."""
    verify = f'<verifyauth assign_to="valid" username="{USERNAME}" password="{PASSWORD}"/>'
    saves = _save("Via", "via") + _save("CSeq", "cseq") if request == "INVITE" else ""
    return f'<recv request="{request}"><action>{verify}{saves}</action></recv>'


# Scenarios, and common parts of them

RING: list[Step] = [receive_invite(), respond_to_invite("180 Ringing")]
ANSWER: list[Step] = [*RING, pause(200), respond_to_invite("200 OK", sdp()), receive("ACK")]
ACCEPT_REINVITE: list[Step] = [
    receive("INVITE", body="m=audio [0-9]+ RTP/AVP"),
    respond("200 OK", sdp(2)),
    receive("ACK"),
]
ACCEPT_BYE: list[Step] = [receive("BYE"), respond("200 OK")]
ACCEPT_CANCEL: list[Step] = [
    receive("CANCEL"),
    respond("200 OK"),
    respond_to_invite("487 Request Terminated", saved_headers=True),
    receive("ACK"),
]


def hold(status: int) -> list[Step]:
    """Put the other phone on hold during the call, and expect a response with this status."""
    reinvite = send_request("INVITE", 2, sdp(3, "a=sendonly"))
    return [pause(400), reinvite, receive_response(status), send_request("ACK", 2, retry=False)]


# Leg A receives the SDP of leg B in a re-INVITE, unless its trunk uses late offer.
CALL_WITH_REINVITE = [*ANSWER, *ACCEPT_REINVITE, *ACCEPT_BYE]
CALL_WITHOUT_REINVITE = [*ANSWER, *ACCEPT_BYE]


def reject(status: str, *, headers: tuple[str, ...] = ()) -> list[Step]:
    return [receive_invite(), respond_to_invite(status, headers=headers), receive("ACK")]


@dataclass
class Phone:
    """A running SIPp process on its own port."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path = field(repr=False)

    def messages(self) -> str:
        """All messages that it has sent and received."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("messages*")))

    def result(self) -> str:
        """Wait for the end of the scenario. Return "" if it succeeded, otherwise SIPp's errors."""
        try:
            code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            return f"The phone on port {self.port} is still waiting. Messages:\n{self.messages()}"
        if code == 0:
            return ""
        errors = "".join(path.read_text() for path in self.folder.glob("errors*"))
        return f"The phone on port {self.port} exited with {code}.\n{errors}\n{self.messages()}"


@contextmanager
def running(steps: list[Step], port: int, *, transport: str = "u1") -> Iterator[Phone]:
    """Run a phone with this scenario until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="sipp-"))
    scenario = folder / "scenario.xml"
    scenario.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><scenario name="phone">'
        + "\n".join(steps)
        + "</scenario>"
    )
    command = ["sipp", "-sf", str(scenario), "-i", "127.0.0.1", "-p", str(port), "-mi"]
    command += ["127.0.0.1", "-mp", str(port + 10_000), "-m", "1", "-nostdin"]
    command += [
        "-t",
        transport,
        "-timeout",
        "60s",
        "-trace_msg",
        "-message_file",
        str(folder / "messages"),
    ]
    command += ["-trace_err", "-error_file", str(folder / "errors")]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    try:
        yield Phone(port, process, folder)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
