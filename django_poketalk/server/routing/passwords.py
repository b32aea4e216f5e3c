"""The passwords of gateways. A gateway's row has the name of an environment variable of the switch.

Users who may change gateways choose both the variable and the host that receives the password, so
only variables that are meant for it are read.
"""

from __future__ import annotations

import os

from ..conf import settings

PREFIX = "POKETALK_GATEWAY_"
NEVER = "SECRET_KEY"


def is_allowed(variable: str) -> bool:
    """Whether this environment variable may contain a gateway's password: its name begins with
    `PREFIX`, or `GATEWAY_PASSWORD_VARIABLES` has it. Never a secret key, whatever the setting says.
    """
    if NEVER in variable.upper():
        return False
    return variable.startswith(PREFIX) or variable in settings.gateway_password_variables


def read(variable: str) -> tuple[str, str]:
    """The password in this variable, and "" or why there is none, for the log."""
    if not variable:
        return "", "it has no password variable"
    if not is_allowed(variable):
        return "", (
            f"the environment variable {variable!r} is not read, because its name neither begins "
            f"with {PREFIX} nor is in GATEWAY_PASSWORD_VARIABLES"
        )
    password = os.environ.get(variable, "")
    return password, "" if password else f"its variable {variable!r} is not set for this switch"
