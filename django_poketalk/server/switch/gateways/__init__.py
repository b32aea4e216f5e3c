"""The kinds of gateways, by the `kind` of a `Gateway` row."""

from __future__ import annotations

from importlib.util import find_spec

from .asterisk.gateway import AsteriskGateway
from .base import BaseGateway
from .simulated import SimulatedGateway
from .sip.gateway import SipGateway

# A kind whose library is not installed is missing, and its gateways are skipped.
KINDS: dict[str, type[BaseGateway]] = {"simulated": SimulatedGateway, "asterisk": AsteriskGateway}
if find_spec("sippy") is not None:
    KINDS["sip"] = SipGateway
