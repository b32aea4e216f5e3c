"""The address and UDP port of our SIP endpoint."""

from __future__ import annotations

import socket

from django_poketalk.server.conf import settings

NOWHERE = ("192.0.2.1", 9)  # TEST-NET-1 (RFC 5737); nothing is sent there


def own_address() -> str:
    """`SIP_ADDRESS`; by default the address of the default route, or loopback if there is none."""
    if settings.sip_address:
        return settings.sip_address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(NOWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def check_port() -> None:
    """`OSError` with a message for people if the port is not available.

    Sippy's own socket would share it with another process, which would get some of our responses.
    """
    address, port = own_address(), settings.sip_port
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, port))
        except OSError as error:
            reason = f"SIP port {port} of {address}: {error.strerror}"
            raise OSError(error.errno, reason) from error
