"""Validators of a gateway's texts. What they accept can neither end nor extend a header."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from ..routing import passwords
from ..routing.trunk import NUMBER

host_validator = RegexValidator(
    r"^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*[.]?\Z",
    _("Enter a host name or IPv4 address without a port."),
)
username_validator = RegexValidator(
    r"^[A-Za-z0-9@._/+=*#!$&'()?^`{|}~%-]*\Z",
    _('Enter a user name without spaces, accents and the characters " : ; , < > \\.'),
)

PLAIN = "[A-Za-z0-9@._/:=+*#-]"  # characters of an endpoint, besides the number
endpoint_validator = RegexValidator(
    rf"^[A-Za-z0-9]+/{PLAIN}*{re.escape(NUMBER)}{PLAIN}*\Z",
    _("Enter a technology and a resource with one {number}: PJSIP/{number}@trunk."),
)


def validate_password_variable(name: str) -> None:
    """`ValidationError` unless this environment variable may contain a gateway's password."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or not passwords.is_allowed(name):
        raise ValidationError(
            _("Enter a name that begins with %(prefix)s, such as %(prefix)sACME."),
            params={"prefix": passwords.PREFIX},
        )


def validate_ari_url(text: str) -> None:
    """`ValidationError` unless it is an HTTP(S) URL without credentials, query and fragment."""
    try:
        url = urlsplit(text)
        named = bool(url.hostname) and url.port != 0
    except ValueError:
        named = False
    if not named or url.scheme not in ("http", "https") or not re.fullmatch(r"[!-~]+", text):
        raise ValidationError(_("Enter an address that begins with http:// or https://."))
    if url.username or url.password or url.query or url.fragment or re.search(r'[";<>\\]', text):
        raise ValidationError(_("Enter an address without user name, password, ? and #."))
