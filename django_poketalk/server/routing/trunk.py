"""What is known of the other end of a gateway, and how a number is written for it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

ANONYMOUS = "anonymous"
NUMBER = "{number}"  # in a template of endpoints, where the number goes

DIALLED = re.compile(r"[+]?[0-9*#]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """A way to real phones, as calls through one gateway are to be made.

    `username` and `password` are what we say when asked who we are. `caller_id`: the digits that
    every call shows, `ANONYMOUS`, or empty for the other leg's number. `strip` digits are taken
    from the front of a number before `add` is put there. `max_channels` legs at a time and
    `calls_per_second` hold for one switch, 0 for no limit.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    caller_id: str = ""
    strip: int = 0
    add: str = ""
    max_channels: int = 0
    calls_per_second: int = 0

    def dialled(self, number: str) -> str:
        """The number (digits, country code first) as this trunk wants it."""
        return self.add + number[self.strip :]

    def shown(self, other: str) -> str:
        """The caller's number that the called phone is to show; `other` is the other leg's."""
        return self.caller_id or other


@dataclass(frozen=True, slots=True)
class SipTrunk(Trunk):
    """A carrier's proxy or a PBX, spoken to by SIP.

    `host` is a name or an address. Without `username` no challenge is answered. `from_domain` is
    what stands behind the @ in From; empty: our own address. `early_media` lets A hear what B's
    network plays before B answers; `late_offer` spares A's phone the re-INVITE, by asking it for an
    offer and leaving that unanswered until B has answered (RFC 3725, flow I). `keep_alive` is the
    seconds between two OPTIONS, 0 for none.
    """

    host: str
    port: int = 5060
    from_domain: str = ""
    early_media: bool = False
    late_offer: bool = False
    keep_alive: int = 0

    def __repr__(self) -> str:
        return f"<SipTrunk {self.username or '-'}@{self.host}:{self.port}>"  # never the password


@dataclass(frozen=True, slots=True)
class AsteriskTrunk(Trunk):
    """An Asterisk, spoken to by its REST interface (ARI), and an endpoint there.

    `url` is where its HTTP server is, without `/ari`. `application` is what our Stasis applications
    are named after. `endpoint` has `NUMBER` where the number goes.
    """

    url: str
    application: str
    endpoint: str

    def __repr__(self) -> str:
        return f"<AsteriskTrunk {self.username}@{self.url}>"  # never the password

    def endpoint_of(self, number: str) -> str:
        """What to originate so that this number (digits, country code first) rings.

        `ValueError` for what is no number: whatever came before, nothing else gets into an
        endpoint.
        """
        dialled = self.dialled(number)
        if not DIALLED.fullmatch(dialled):
            raise ValueError("That is no number to be dialled.")
        return self.endpoint.replace(NUMBER, dialled)
