"""Session descriptions (RFC 8866) as they pass from one phone to the other. Pure text to text.

Nothing is added or taken away but what third party call control needs: an offer that no media
follows from, its answer, and an origin line that is each dialog's own.
"""

from __future__ import annotations

import re
from email import message_from_string

TYPE = "application/sdp"
ORIGIN = re.compile(r"^o=\S+ \S+ \S+ (.*?)\r?$", re.MULTILINE)
MEDIA = re.compile(r"^m=(\S+) \S+ (\S+) (\S+)(.*?)\r?$", re.MULTILINE)
DIRECTION = re.compile(r"^a=(?:inactive|sendonly|recvonly|sendrecv)\r?\n", re.MULTILINE)
DISCARD = 9  # the port of RFC 863, which RFC 3264 and 4145 use where there is none


def black_hole_offer(address: str) -> str:
    """An offer of telephone audio that is not to be sent anywhere yet: RFC 3725, flow IV."""
    return _session(
        address,
        f"m=audio {DISCARD} RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=inactive",
    )


def black_hole_answer(offer: str, address: str) -> str:
    """An answer that takes the offer's first audio with its first format and sends nothing, and
    declines all other media (RFC 3264, section 6).
    """
    lines = []
    audio = False
    for kind, protocol, first, others in MEDIA.findall(offer):
        if kind != "audio" or audio:
            lines.append(f"m={kind} 0 {protocol} {first}{others}")
            continue
        audio = True
        lines.append(f"m=audio {DISCARD} {protocol} {first}")
        mapping = re.search(rf"^a=rtpmap:{re.escape(first)} .*?(?=\r?$)", offer, re.MULTILINE)
        lines += [mapping.group(0)] if mapping else []
        lines.append("a=inactive")
    return _session(address, *lines)


def within(content_type: str, body: str) -> str | None:
    """The description in a body of several parts (RFC 5621), as trunks send that pass ISUP on; None
    where there is none.
    """
    for part in message_from_string(f"Content-Type: {content_type}\r\n\r\n{body}").walk():
        if part.get_content_type() == TYPE:
            return f"{str(part.get_payload()).rstrip()}\r\n"
    return None


def without_direction(description: str) -> str:
    """The description with media both ways, as when nothing is said of it.

    Whoever has answered an inactive offer with "inactive" did not mean to be silent for ever.
    """
    return DIRECTION.sub("", description)


def with_origin(description: str, session: int, version: int) -> str:
    """The description with this dialog's own origin: the same session all along, and a version that
    grows by one with each change (RFC 3264, section 8).
    """
    return ORIGIN.sub(lambda found: f"o=- {session} {version} {found[1]}", description, count=1)


def _session(address: str, *media: str) -> str:
    family = "IP6" if ":" in address else "IP4"
    origin = f"IN {family} {address.strip('[]')}"
    lines = ["v=0", f"o=- 0 0 {origin}", "s=-", f"c={origin}", "t=0 0", *media]
    return "".join(f"{line}\r\n" for line in lines)
