"""SIPp as a phone: what it does, step by step, as a scenario of its own.

A phone is a list of steps. Each plays its part of one dialog as the called side, checks what it is
sent, and ends with exit code 0 only if everything came as the steps say.
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
    typed = ["Content-Type: application/sdp"] if body else []
    lines = [start, *headers, *typed, "Content-Length: [len]" if body else "Content-Length: 0"]
    return "<![CDATA[\n" + "\n".join(lines) + "\n\n" + (body + "\n" if body else "") + "]]>"


def invited(*, offer: str = "") -> Step:
    """Take the INVITE; `offer` is a regular expression that its body must match."""
    actions = [_keep("Via", "via"), _keep("CSeq", "cseq"), _keep("From", "from"), _keep("To", "to")]
    if offer:
        actions.append(_check_body(offer))
    return (
        f'<recv request="INVITE" rrs="true"><action>{"".join(actions)}</action></recv>'
        f'<Reference variables="via,cseq,from,to{",checked" if offer else ""}"/>'
    )


def _keep(header: str, name: str) -> str:
    return f'<ereg regexp=".*" search_in="hdr" header="{header}:" assign_to="{name}"/>'


def _check_body(pattern: str) -> str:
    return f'<ereg regexp="{pattern}" search_in="body" check_it="true" assign_to="checked"/>'


def answered_with(
    status: str,
    body: str = "",
    *,
    headers: tuple[str, ...] = (),
    tag: str = TAG,
    late: bool = False,
) -> Step:
    """Respond to the INVITE of `invited`; `late`, when something else has come since."""
    to = "To:[$to]" if late else "[last_To:]"
    lines = [
        "Via:[$via]" if late else "[last_Via:]",
        "From:[$from]" if late else "[last_From:]",
        f"{to}{tag}",
        "[last_Call-ID:]",
        "CSeq:[$cseq]" if late else "[last_CSeq:]",
        "[last_Record-Route:]",
        CONTACT,
        *headers,
    ]
    retransmitted = ' retrans="500"' if status[0] > "1" else ""
    return f"<send{retransmitted}>{_message(f'SIP/2.0 {status}', lines, body)}</send>"


def responds(status: str, body: str = "", *, headers: tuple[str, ...] = ()) -> Step:
    """Respond to the last request, within the dialog."""
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


def sends(
    method: str, cseq: int, body: str = "", *, headers: tuple[str, ...] = (), retry: bool = True
) -> Step:
    """Send a request of the phone's own in the dialog."""
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


def gets(request: str, *, body: str = "", header: tuple[str, str] | None = None) -> Step:
    """Wait for a request; check its body, or one of its headers, by a regular expression."""
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


def gets_response(status: int) -> Step:
    return f'<recv response="100" optional="true"/><recv response="{status}"/>'


def pauses(milliseconds: int) -> Step:
    return f'<pause milliseconds="{milliseconds}"/>'


def checks_digest(good: Step, bad: Step) -> Step:
    """After a request with credentials: one way if they are right, another if not."""
    # SIPp takes an ACK that finds it in a step of its own after the answer for an unexpected one.
    bad = bad.replace("<send", '<send next="over"', 1)
    return (
        '<nop hide="true" test="valid" next="good"/>'
        f'{bad}<label id="good"/>{good}<label id="over"/>'
    )


def gets_with_digest(request: str) -> Step:
    verify = f'<verifyauth assign_to="valid" username="{USERNAME}" password="{PASSWORD}"/>'
    keeps = _keep("Via", "via") + _keep("CSeq", "cseq") if request == "INVITE" else ""
    return f'<recv request="{request}"><action>{verify}{keeps}</action></recv>'


# Whole phones

RINGS: list[Step] = [invited(), answered_with("180 Ringing")]
PICKED_UP: list[Step] = [*RINGS, pauses(200), answered_with("200 OK", sdp()), gets("ACK")]
JOINED_AS_A: list[Step] = [
    gets("INVITE", body="m=audio [0-9]+ RTP/AVP"),
    responds("200 OK", sdp(2)),
    gets("ACK"),
]
PUT_DOWN: list[Step] = [gets("BYE"), responds("200 OK")]
CANCELLED: list[Step] = [
    gets("CANCEL"),
    responds("200 OK"),
    answered_with("487 Request Terminated", late=True),
    gets("ACK"),
]


def holds(answer: int) -> list[Step]:
    """Put the other phone on hold in the middle of a call, and get this answer."""
    asks = sends("INVITE", 2, sdp(3, "a=sendonly"))
    return [pauses(400), asks, gets_response(answer), sends("ACK", 2, retry=False)]


ANSWERS_AS_A = [*PICKED_UP, *JOINED_AS_A, *PUT_DOWN]
ANSWERS_AS_B = [*PICKED_UP, *PUT_DOWN]


def refuses(status: str, *, headers: tuple[str, ...] = ()) -> list[Step]:
    return [invited(), answered_with(status, headers=headers), gets("ACK")]


@dataclass
class Phone:
    """A running SIPp, on a port of its own."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path = field(repr=False)

    def messages(self) -> str:
        """All that it has sent and received."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("messages*")))

    def result(self) -> str:
        """Empty when all went by the scenario; else what SIPp says."""
        try:
            code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            return f"port {self.port} still waits; so far:\n{self.messages()}"
        if code == 0:
            return ""
        errors = "".join(path.read_text() for path in self.folder.glob("errors*"))
        return f"port {self.port} ended with {code}\n{errors}\n{self.messages()}"


@contextmanager
def ringing(steps: list[Step], port: int, *, transport: str = "u1") -> Iterator[Phone]:
    """A phone that waits for its call."""
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
