"""Changes to session descriptions (RFC 8866) between two phones. Pure.

Only the changes that third party call control requires: an offer and an answer without usable
media, and an origin line of our own for each dialog.
"""

from __future__ import annotations

import re
from email import message_from_string

TYPE = "application/sdp"
LINE_END = re.compile(r"\r?\n|\r|(?<=[^\r\n])\Z")
ORIGIN = re.compile(r"^o=\S+ \S+ \S+ (.*?)(?=\r?$)", re.MULTILINE)
MEDIA = re.compile(r"^m=(\S+) \S+ (\S+) (\S+)(.*?)\r?$", re.MULTILINE)
DIRECTION = re.compile(r"^a=(?:inactive|sendonly|recvonly|sendrecv)[ \t]*\r\n", re.MULTILINE)
DISCARD = 9  # the port of RFC 863, which RFC 3264 and 4145 use as a placeholder


def black_hole_offer(address: str) -> str:
    """An offer of telephone audio that is inactive at first (RFC 3725, flow IV)."""
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
    """An inactive answer that accepts the offer's first audio in its first format and declines all
    other media (RFC 3264, section 6).
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
    """The description in a multipart body (RFC 5621), such as trunks send with ISUP; or None."""
    for part in message_from_string(f"Content-Type: {content_type}\r\n\r\n{body}").walk():
        if part.get_content_type() == TYPE:
            return f"{str(part.get_payload()).rstrip()}\r\n"
    return None


def normalized(description: str) -> str:
    """The description with CR LF at the end of each line (RFC 8866, section 5)."""
    return LINE_END.sub("\r\n", description)


def without_direction(description: str) -> str:
    """The description without a direction, so that media flow both ways.

    A phone must answer an inactive offer with "inactive", which does not mean that it has no media.
    """
    return DIRECTION.sub("", normalized(description))


def with_origin(description: str, session: int, version: int) -> str:
    """The description with this dialog's own origin: always the same session, and a version that
    grows by one with each change (RFC 3264, section 8).
    """
    description = normalized(description)
    return ORIGIN.sub(lambda found: f"o=- {session} {version} {found[1]}", description, count=1)


def same_media(one: str, other: str) -> bool:
    """Whether two descriptions differ only in their origins, such as by a version that some phones
    raise in each response.
    """
    return with_origin(one, 0, 0) == with_origin(other, 0, 0)


def _session(address: str, *media: str) -> str:
    family = "IP6" if ":" in address else "IP4"
    origin = f"IN {family} {address.strip('[]')}"
    lines = ["v=0", f"o=- 0 0 {origin}", "s=-", f"c={origin}", "t=0 0", *media]
    return "".join(f"{line}\r\n" for line in lines)
