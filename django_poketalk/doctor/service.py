"""Whether a service accepts this site's requests."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured

from ..backends import get_backend
from ..shared.doctor.checking import Finding, Options, error


def check_service(alias: str, options: Options) -> Iterator[Finding]:
    """What the backend of the service with this alias finds out about it, without a call."""
    try:
        backend = get_backend(alias)
    except ImproperlyConfigured as failure:
        yield error(str(failure), "Correct BACKEND.")
        return
    yield from backend.diagnose(options)
