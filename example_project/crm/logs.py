"""Readable log lines without secrets."""

from __future__ import annotations

import logging
import re

# The signature at the end of an event URL's token: whoever has it can send events.
SIGNATURE = re.compile(r"(/[0-9]+-[0-9]+-[0-9.]*-)[A-Za-z0-9_-]{22}")


class HideTokens(logging.Filter):
    """Removes the signatures from event URLs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = SIGNATURE.sub(r"\1…", record.getMessage()), ()
        return True


class LineFormatter(logging.Formatter):
    """The message; warnings and worse are prefixed with the level."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname}: {text}"
