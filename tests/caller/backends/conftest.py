"""The backend that the docs print is importable as `acme`, as it is in a project."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "docs" / "howto" / "backend"))
