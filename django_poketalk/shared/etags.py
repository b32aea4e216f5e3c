"""ETags for JSON and HTML fragments that clients poll."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def weak_etag(facts: Any) -> str:
    """A weak ETag of JSON-serializable data. Other values are converted to text."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
