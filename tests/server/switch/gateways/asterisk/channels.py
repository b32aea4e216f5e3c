"""Channels in the format of Asterisk, and the simulated phones behind them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

DOWN, RINGING, UP = "Down", "Ringing", "Up"

# SIP status → the Q.850 cause that Asterisk gives it
CAUSES = {403: 21, 404: 1, 405: 127, 480: 19, 484: 28, 486: 17, 500: 38, 503: 34, 603: 21}


@dataclass(frozen=True, slots=True)
class Phone:
    """The behavior of a phone: it rings at once, is answered or fails after some seconds, and hangs
    up `talks` seconds after the answer. None means never. `status`: the SIP status with which it
    fails. `forwards`: it forwards at once to the phone with these last digits. With `early_media`,
    its network plays something to the caller before the answer.

    For the fake Asterisk only: `cause` is the Q.850 cause of an Asterisk that does not send the SIP
    status, and `dial_status` is that of its last `Dial`, such as a dialplan's.
    """

    rings: bool = True
    answers: float | None = 0.02
    talks: float | None = None
    fails: float | None = None
    status: int = 480
    forwards: str = ""
    early_media: bool = False
    cause: int | None = None
    dial_status: str = ""


@dataclass(eq=False)
class Channel:
    id: str
    endpoint: str
    query: dict[str, str]
    phone: Phone = Phone()
    state: str = DOWN
    in_stasis: bool = False
    hears_tone: bool = False
    rings: str = ""  # of a Local channel: the channel of the phone that it rings
    variables: dict[str, str] = field(default_factory=dict)
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    @property
    def ending(self) -> str:
        """The last two digits of the number."""
        return self.endpoint.partition("@")[0][-2:]

    @property
    def app(self) -> str:
        return self.query["app"]

    def as_json(self) -> dict[str, Any]:
        number = self.endpoint.partition("/")[2].partition("@")[0]
        return {
            "id": self.id,
            "name": f"PJSIP/trunk-{id(self):08x}",
            "state": self.state,
            "protocol_id": "",
            "caller": {"name": "", "number": number},
            "connected": {"name": "", "number": self.query.get("callerId", "")},
            "accountcode": "",
            "dialplan": {
                "context": "default",
                "exten": "s",
                "priority": 1,
                "app_name": "Stasis" if self.in_stasis else "AppDial2",
                "app_data": self.app if self.in_stasis else "(Outgoing Line)",
            },
            "creationtime": datetime.now(UTC).isoformat(),
            "language": "en",
        }
