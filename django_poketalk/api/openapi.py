"""Annotations for the OpenAPI document, if drf-spectacular (the extra `openapi`) is installed.

Without it, each decorator returns its argument unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rest_framework import serializers

from ..shared import problems
from . import idempotency

try:
    from drf_spectacular import utils as spectacular
    from drf_spectacular.extensions import OpenApiSerializerExtension
except ModuleNotFoundError:  # the extra `openapi`
    spectacular = None  # type: ignore[assignment]
else:

    class ClosedSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
        """Some bodies have no other fields than those of their schema.

        `_map_serializer` is private API; tests/house/test_private_api.py fails if it changes.
        """

        target_class = "django_poketalk.api.fields.ClosedSerializer"
        match_subclasses = True

        def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
            schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
            return {**schema, "additionalProperties": False}


Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Serializer = TypeVar("Serializer", bound=type[serializers.BaseSerializer[Any]])

SENTENCES = {
    400: "The request is invalid, or cannot be parsed.",
    401: "The user is not logged in.",
    403: "The user may not do this.",
    404: "There is no such object that the user may see.",
    406: "Responses are JSON only.",
    413: "The request is larger than 16 KiB.",
    415: "The request is not JSON.",
    422: "Refused (see `code`), or the Idempotency-Key was used for another call.",
    429: "Too many requests. Try again after `Retry-After` seconds.",
    503: "The database is not available. Try again after `Retry-After` seconds.",
}
ALWAYS = (401, 403, 406, 503)
WITH_BODY = (400, 413, 415)


def component(serializer: Serializer) -> Serializer:
    """Prefix the name of a serializer's schema, so that it is unique in the project's document."""
    if spectacular is None:
        return serializer
    name = serializer.__name__.removesuffix("Serializer")
    return spectacular.extend_schema_serializer(component_name=f"PokeTalk{name}")(serializer)


@component
class InvalidSerializer(serializers.Serializer[Any]):
    """One error and its place."""

    pointer = serializers.CharField(required=False, help_text="JSON pointer into the body.")
    parameter = serializers.CharField(required=False, help_text="Name of the query's parameter.")
    detail = serializers.CharField()
    code = serializers.CharField()


@component
class ProblemSerializer(serializers.Serializer[Any]):
    """Problem details (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="For people, in the language of the request.")
    code = serializers.CharField(help_text="For programs.")
    field = serializers.CharField(required=False, help_text="The field that a refusal is about.")
    header = serializers.CharField(required=False, help_text="The header at fault.")
    errors = InvalidSerializer(many=True, required=False)  # type: ignore[assignment]


def operation(
    name: str, answers: dict[int, Any], *errors: int, keyed: bool = False, **more: Any
) -> Callable[[Decorated], Decorated]:
    """Document an operation: its name, its responses by status, and the error statuses besides
    `ALWAYS`. `keyed`: it accepts an Idempotency-Key.
    """
    if spectacular is None:
        return lambda decorated: decorated
    responses: dict[Any, Any] = dict(answers)
    for status in sorted({*ALWAYS, *errors}):
        responses[status, problems.MEDIA_TYPE] = spectacular.OpenApiResponse(
            ProblemSerializer, SENTENCES[status]
        )
    if keyed:
        more["parameters"] = [
            spectacular.OpenApiParameter(
                idempotency.HEADER,
                location=spectacular.OpenApiParameter.HEADER,
                description="The same key with the same body returns the same call.",
            )
        ]
    return spectacular.extend_schema(
        operation_id=f"poketalk_{name}", tags=["poketalk"], responses=responses, **more
    )


def returns(kind: Any) -> Callable[[Decorated], Decorated]:
    """Document the type of a serializer's method field."""
    if spectacular is None:
        return lambda decorated: decorated
    return spectacular.extend_schema_field(kind)
