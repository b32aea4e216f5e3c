"""ETags for JSON and fragments that clients poll."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def weak_etag(facts: Any) -> str:
    """A weak ETag of facts that JSON can hold; other values count as their text."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
