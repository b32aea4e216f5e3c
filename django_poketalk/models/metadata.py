"""The metadata of calls: a small JSON object of the project's own, such as the deal that a call is
about besides its contact.

It has a table of its own. Every event rewrites the row of its call, which therefore stays small.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

from .calls import CallRequest
from .primary import PrimaryQuerySet

MOST_BYTES = 1024  # of the object as JSON in UTF-8


class CallMetadata(models.Model):
    """The metadata of one call. Calls without any have no row."""

    call = models.OneToOneField(
        CallRequest,
        verbose_name=_("call"),
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="stored_metadata",
    )
    data = models.JSONField(_("metadata"), encoder=DjangoJSONEncoder)

    objects = PrimaryQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"  # for the row of a call
        default_permissions = ()

    def __str__(self) -> str:
        return f"metadata of call {self.call_id}"


def clean_metadata(given: Any) -> dict[str, Any]:
    """The object as JSON stores it. Empty for None.

    Raises `ValueError` with a sentence for developers if it is not a dict with texts as keys, is
    not JSON, or has more than `MOST_BYTES` bytes.
    """
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise ValueError("metadata must be a JSON object: a dict with texts as keys.")
    try:
        text = as_json(given, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"metadata must be JSON: {error}") from error
    if "\\u0000" in text:
        raise ValueError("metadata must not contain NUL.")
    if size > MOST_BYTES:
        raise ValueError(f"metadata has {size} bytes of JSON, more than {MOST_BYTES}.")
    cleaned: dict[str, Any] = json.loads(text)
    return cleaned


def as_json(value: Any, separators: tuple[str, str] | None = None) -> str:
    """Metadata, or a value of it, as JSON that people can read."""
    return json.dumps(
        value, cls=DjangoJSONEncoder, allow_nan=False, ensure_ascii=False, separators=separators
    )
