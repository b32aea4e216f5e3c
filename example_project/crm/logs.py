"""Readable log lines without secrets, and JSON for programs."""

from __future__ import annotations

import json
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


class JSONFormatter(logging.Formatter):
    """A record as one line of JSON, with the call that it is about."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": super().format(record),  # with its traceback
        }
        for name in ("call_id", "call_service", "call_step"):
            if (value := getattr(record, name, None)) is not None:
                line[name] = value
        return json.dumps(line)
