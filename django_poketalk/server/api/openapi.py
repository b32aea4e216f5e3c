"""Annotations for the OpenAPI document, if drf-spectacular (the extra `openapi`) is installed.

Without it, each decorator returns its argument unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

try:
    from drf_spectacular import utils as spectacular
    from drf_spectacular.extensions import OpenApiAuthenticationExtension
except ModuleNotFoundError:  # the extra `openapi`
    spectacular = None  # type: ignore[assignment]
else:

    class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
        """The account's key in a header."""

        target_class = "django_poketalk.server.api.authentication.ApiKeyAuthentication"
        name = "poketalkServiceKey"

        def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
            """OpenAPI has no scheme for `Api-Key`; this one says what the header contains."""
            return {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Api-Key <key>`, from one of the account's allowed addresses.",
            }


Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type[Any])


def component(serializer: Class) -> Class:
    """Prefix the name of a serializer's schema, so that it is unique in the project's document."""
    if spectacular is None:
        return serializer
    name = serializer.__name__.removesuffix("Serializer")
    return spectacular.extend_schema_serializer(component_name=f"PokeTalkService{name}")(serializer)


def operation(name: str, **more: Any) -> Callable[[Decorated], Decorated]:
    """Name an operation. `more` is what `extend_schema` takes."""
    if spectacular is None:
        return lambda decorated: decorated
    return spectacular.extend_schema(
        operation_id=f"poketalk_service_{name}", tags=["poketalk service"], **more
    )
