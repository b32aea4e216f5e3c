"""The identity of an INVITE, by which another process can cancel it and recognizes the responses to
it. Does not import sippy.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from secrets import token_hex

from django.conf import settings
from django.utils.crypto import salted_hmac

MAGIC = "z9hG4bK"  # RFC 3261, 8.1.1.7
SALT = "django_poketalk.server.sip"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An attempt to ring a phone: the beginning of the Call-ID, our tag, the number that is dialed,
    the caller ID, and our address as in the Via header.
    """

    token: str
    tag: str
    number: str
    caller: str
    host: str
    port: int

    @classmethod
    def new(cls, number: str, caller: str, host: str, port: int) -> Invitation:
        """One that nobody can guess."""
        return cls(token_hex(16), token_hex(16), number, caller, host, port)

    def call_id_at(self, address: tuple[str, int]) -> str:
        """The Call-ID at one of the trunk's addresses: each is another call for the trunk."""
        host, port = address
        return f"{self.token}@{host}:{port}"

    def __str__(self) -> str:
        return json.dumps({"invitation": asdict(self)})

    @classmethod
    def parse(cls, text: str) -> Invitation | None:
        """The invitation, or None if the text describes an answered dialog."""
        fields = json.loads(text).get("invitation")
        return None if fields is None else cls(**fields)


def branch(call_id: str, cseq: int) -> str:
    """The branch of an INVITE. Only we can compute it, so nobody else can send a response to it
    who has not received it.
    """
    digest = hmac.digest(_key(settings.SECRET_KEY), f"{cseq} {call_id}".encode(), "sha256")
    return MAGIC + digest[:16].hex()


@lru_cache(maxsize=1)
def _key(secret: str) -> bytes:
    return salted_hmac(SALT, "branch", secret=secret, algorithm="sha256").digest()
