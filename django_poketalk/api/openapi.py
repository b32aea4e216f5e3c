"""What the OpenAPI document says beyond the code, where drf-spectacular is installed.

Without it, each of these decorators leaves alone what it decorates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rest_framework import serializers

from . import idempotency, problems

try:
    from drf_spectacular import utils as spectacular
    from drf_spectacular.extensions import OpenApiSerializerExtension
except ModuleNotFoundError:  # the extra `openapi`
    spectacular = None  # type: ignore[assignment]
else:

    class ClosedSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
        """An order has the fields that are described, and no others."""

        target_class = "django_poketalk.api.serializers.OrderSerializer"

        def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
            known = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
            return {**known, "additionalProperties": False}


Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Serializer = TypeVar("Serializer", bound=type[serializers.BaseSerializer[Any]])

SENTENCES = {
    400: "Something in the request is not as it has to be, or it cannot be read.",
    401: "Nobody is logged in.",
    403: "The user may not do this.",
    404: "There is none that the user may see.",
    406: "The answer is JSON, and nothing else.",
    413: "The request is larger than 16 KiB.",
    415: "The request is not JSON.",
    422: "The call is refused (see `code`), or the Idempotency-Key was used for another one.",
    429: "Too many requests: try again after `Retry-After` seconds.",
    503: "The database does not answer: try again after `Retry-After` seconds.",
}
ALWAYS = (401, 403, 406, 503)
WITH_BODY = (400, 413, 415)


def component(serializer: Serializer) -> Serializer:
    """Name a serializer's schema so that it is not mixed up with one of the project's."""
    if spectacular is None:
        return serializer
    name = serializer.__name__.removesuffix("Serializer")
    return spectacular.extend_schema_serializer(component_name=f"PokeTalk{name}")(serializer)


@component
class InvalidSerializer(serializers.Serializer[Any]):
    """One thing that is wrong, and where."""

    pointer = serializers.CharField(required=False, help_text="JSON pointer into the body.")
    parameter = serializers.CharField(required=False, help_text="Name in the query.")
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
    field = serializers.CharField(required=False, help_text="What a refusal is about.")
    header = serializers.CharField(required=False, help_text="The header at fault.")
    errors = InvalidSerializer(many=True, required=False)  # type: ignore[assignment]


def operation(
    name: str, answers: dict[int, Any], *errors: int, keyed: bool = False, **more: Any
) -> Callable[[Decorated], Decorated]:
    """Document an operation: its name, what it answers by status, and how it can fail beyond what
    every operation can. `keyed`: an Idempotency-Key makes it safe to repeat.
    """
    if spectacular is None:
        return lambda decorated: decorated
    told: dict[Any, Any] = dict(answers)
    for status in sorted({*ALWAYS, *errors}):
        told[status, problems.MEDIA_TYPE] = spectacular.OpenApiResponse(
            ProblemSerializer, SENTENCES[status]
        )
    if keyed:
        more["parameters"] = [
            spectacular.OpenApiParameter(
                idempotency.HEADER,
                location=spectacular.OpenApiParameter.HEADER,
                description="The same key with the same body is the same call.",
            )
        ]
    return spectacular.extend_schema(
        operation_id=f"poketalk_{name}", tags=["poketalk"], responses=told, **more
    )


def returns(kind: Any) -> Callable[[Decorated], Decorated]:
    """Document what a method field of a serializer gives."""
    if spectacular is None:
        return lambda decorated: decorated
    return spectacular.extend_schema_field(kind)
