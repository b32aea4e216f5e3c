"""Settings of a switch in a separate process: the test database, and events to loopback allowed."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["SWITCH_DATABASE"]
POKETALK_SERVER = {
    "EVENT_NETWORKS": ["127.0.0.0/8"],
    "LEASE": int(os.environ.get("SWITCH_LEASE", "2")),
    "EVENT_INTERVAL": int(os.environ.get("SWITCH_EVENT_INTERVAL", "60")),
    "SIP_ADDRESS": "127.0.0.1",
    "SIP_PORT": int(os.environ.get("SWITCH_SIP_PORT", "5060")),
    # SIPp's phones do not expect OPTIONS in a call.
    "SIP_CHECK_INTERVAL": int(os.environ.get("SWITCH_SIP_CHECK_INTERVAL", "0")),
}
