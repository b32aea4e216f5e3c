"""The ways out to the phones, by the `kind` of a `Gateway` row."""

from __future__ import annotations

from .base import BaseGateway
from .simulated import SimulatedGateway

KINDS: dict[str, type[BaseGateway]] = {"simulated": SimulatedGateway}
