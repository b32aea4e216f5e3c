"""The bodies that the API reads: JSON, and not much of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from .problems import TooLarge

LARGEST = 16 * 1024  # bytes; the longest order that is meant has less than one thousand


class SmallJSONParser(BaseParser):
    """UTF-8 JSON of at most `LARGEST` bytes, without NaN and the infinities that JSON has not."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """What the body says. `TooLarge`, or `ParseError` for all that is no JSON."""
        body = stream.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise TooLarge
        try:
            read = json.loads(body.decode(), parse_constant=_refuse)
            json.dumps(read, ensure_ascii=False).encode()  # half a surrogate pair is no text
            return read
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The request is no JSON in UTF-8.")) from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
