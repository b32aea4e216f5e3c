"""The connection settings of a gateway, and the format of numbers for it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields

from django_poketalk.protocol.numbers import is_internal

ANONYMOUS = "anonymous"
INFO = "info"  # SIP INFO, a way to send DTMF
NUMBER = "{number}"  # the placeholder for the number in an endpoint

PROGRESS_TIMEOUT = 15  # seconds
# SIP responses that do not depend on the dialed number or its phone
FAILOVER_CODES = frozenset({402, 403, 408, 421, 500, 501, 502, 503, 504})

DIAL_STRING = re.compile(r"[+]?[0-9*#]+", re.ASCII)
CALLER_ID = re.compile(r"[+]?[0-9]*", re.ASCII)
UNSAFE = re.compile(r'[^!-~]|[";<>\\]')  # what could end or extend a SIP or HTTP header


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """A connection to real phones through a gateway.

    `username` and `password` are for authentication; `password_problem` says why there is no
    password. `caller_id` is the digits that every call displays, `ANONYMOUS`, or empty for the
    other leg's number. `presented` is the number that this call displays instead, if any.
    `fallback` is displayed instead of an internal number, which only a trunk to internal numbers
    displays. `strip` digits are removed from the start of a number before `add` is prepended.
    `calls_per_second` applies to one switch; 0 means no limit. After `progress_timeout` seconds in
    which no phone has rung, and after a SIP response in `failover_codes`, the next gateway is
    tried.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    password_problem: str = field(default="", repr=False, compare=False)
    caller_id: str = ""
    presented: str = ""
    fallback: str = ""
    is_internal: bool = False
    strip: int = 0
    add: str = ""
    calls_per_second: int = 0
    progress_timeout: int = PROGRESS_TIMEOUT
    failover_codes: frozenset[int] = FAILOVER_CODES

    def dial_string(self, number: str) -> str:
        """The number (digits with country code) in the format that this trunk expects. Internal
        numbers are dialed as they are.

        `ValueError` if it is not a number, so that nothing else can get into a header.
        """
        dial_string = number if is_internal(number) else self.add + number[self.strip :]
        if not DIAL_STRING.fullmatch(dial_string):
            raise ValueError("This is not a number to dial.")
        return dial_string

    @property
    def unsafe_setting(self) -> str:
        """The name of a setting that could end or extend a header, such as one with a line break or
        a quote; "" if all are safe. The password is only sent hashed or encoded.
        """
        for setting in fields(self):
            value = getattr(self, setting.name)
            is_sent = isinstance(value, str) and not setting.name.startswith("password")
            if is_sent and UNSAFE.search(value):
                return setting.name
        return ""

    @property
    def dials_extensions(self) -> bool:
        """Whether it can dial an extension after the answer."""
        return True

    def caller_id_for(self, other: str, dialed: str = "") -> str:
        """The caller ID for the phone of number `dialed`: digits with an optional "+", `ANONYMOUS`,
        or "" if there is none. `other` is the other leg's number (both digits).

        `ValueError` if it would contain anything else, so that nothing can get into a header.
        """
        chosen = self.presented or self.caller_id or self._displayed(other)
        if chosen == ANONYMOUS:
            return ANONYMOUS
        caller_id = self._formatted(chosen, dialed)
        if not CALLER_ID.fullmatch(caller_id):
            raise ValueError("This is not a number to display.")
        return caller_id

    def _displayed(self, other: str) -> str:
        """The other leg's number. Internal numbers mean nothing outside their PBX."""
        if is_internal(other) and not self.is_internal:
            return self.fallback or ANONYMOUS
        return other

    def _formatted(self, number: str, dialed: str) -> str:
        """The number in the format in which this trunk expects the dialed one.

        Digits are only stripped if they are the same ones, such as a country code; a number of
        another country keeps its own behind "+". Codes with * or # belong to dialing alone.
        """
        if is_internal(number) or number[:1] in ("", "0") or not CALLER_ID.fullmatch(self.add):
            return number
        if self.strip and number[: self.strip] != dialed[: self.strip]:
            return f"+{number}"
        return self.add + number[self.strip :]


@dataclass(frozen=True, slots=True)
class SipTrunk(Trunk):
    """A carrier's proxy or a PBX, connected by SIP.

    `host` is a name or an address; a name without `port` is looked up as an SRV record. Without
    `username`, challenges are not answered. `from_domain` is the domain of the From header; empty
    means our own address. With `early_media`, A hears what B's network plays before B answers.
    `late_offer` avoids the re-INVITE to A's phone: A makes the offer, which is answered once B has
    answered (RFC 3725, flow I). `keep_alive` is the seconds between two OPTIONS requests, 0 for
    none. `dtmf` is how DTMF is sent: `INFO`, or empty for not at all.
    """

    host: str
    port: int | None = None
    from_domain: str = ""
    early_media: bool = False
    late_offer: bool = False
    keep_alive: int = 0
    dtmf: str = ""

    @property
    def dials_extensions(self) -> bool:
        """Whether it can send DTMF. Its media (RFC 4733) do not pass through the switch."""
        return self.dtmf == INFO

    def domain_for(self, caller_id: str) -> str:
        """The domain of the From header; empty for our own address."""
        return "anonymous.invalid" if caller_id == ANONYMOUS else self.from_domain

    def __repr__(self) -> str:
        port = f":{self.port}" if self.port else ""
        return f"<SipTrunk {self.username or '-'}@{self.host}{port}>"  # never the password


@dataclass(frozen=True, slots=True)
class AsteriskTrunk(Trunk):
    """An Asterisk, connected by its REST interface (ARI), and an endpoint there.

    `url` is the address of its HTTP server, without `/ari`. `application` is the prefix of our
    Stasis applications' names. `endpoint` contains `NUMBER`. With `early_media`, A hears what B's
    network plays before B answers; else, the ringing tone of Asterisk.
    """

    url: str
    application: str
    endpoint: str
    early_media: bool = False

    def __repr__(self) -> str:
        return f"<AsteriskTrunk {self.username}@{self.url}>"  # never the password

    def endpoint_of(self, number: str) -> str:
        """The endpoint to originate for this number (digits with country code).

        `ValueError` if it is not a number, so that nothing else can get into an endpoint.
        """
        return self.endpoint.replace(NUMBER, self.dial_string(number))
