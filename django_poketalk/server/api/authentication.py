"""Authentication by the account's API key, from the account's allowed addresses."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from django_poketalk.protocol.codes import ResponseCode
from django_poketalk.shared.client_address import client_address

from .. import admission
from ..conf import settings
from ..models import ApiKey

SCHEME = "Api-Key"


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Api-Key <key>`. A header, because URLs are written to logs.

    Sets `request.auth` to the `ApiKey`; the user stays anonymous. 401 if the key is missing or
    unknown, 403 if it may not be used from this address.
    """

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        """The request's key, or None if the header is missing or has another scheme."""
        scheme, _separator, value = get_authorization_header(request).partition(b" ")
        if scheme.lower() != SCHEME.lower().encode():
            return None
        secret = value.strip().decode("latin-1")
        match admission.identify(secret, client_address(request.META, settings.trusted_proxies)):
            case ResponseCode.UNKNOWN_ADDRESS:
                raise PermissionDenied("This key may not be used from this address.")
            case ResponseCode():
                raise AuthenticationFailed("The API key is unknown.")
            case key:
                return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return SCHEME


class HasApiKey(BasePermission):
    """Allows requests with a valid key."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, ApiKey)
