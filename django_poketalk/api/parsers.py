"""Request bodies: JSON of a limited size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from ..shared.problems import too_large

MAX_BODY = 16 * 1024  # bytes; the longest sensible order has less than one thousand


class SmallJSONParser(BaseParser):
    """UTF-8 JSON of at most `MAX_BODY` bytes, without NaN and infinities, which are not JSON."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The parsed body. 413 if it is too large, `ParseError` if it is not JSON."""
        body = stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise too_large()
        try:
            parsed = json.loads(body.decode(), parse_constant=_refuse)
            json.dumps(parsed, ensure_ascii=False).encode()  # refuses lone surrogates
            return parsed
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The body is not JSON in UTF-8.")) from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
