"""Where the first migrations look for validators, which have moved."""

from .gateway_validators import validate_ari_url
from .gateways import validate_prefix, validate_prefixes

__all__ = ["validate_ari_url", "validate_prefix", "validate_prefixes"]
