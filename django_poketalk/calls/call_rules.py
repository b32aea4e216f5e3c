"""The project's own rules, which can refuse a call: `POKETALK["CALL_RULES"]`.

Each is a function that takes the call (an unsaved or queued `CallRequest`) and returns a reason, or
"" to allow it. Unlike a veto rule, a rule that fails refuses the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from ..conf import settings
from ..exceptions import CallRefused
from ..models import CallRequest
from ..shared.logs import get_logger

logger = get_logger(__name__)

Rule = Callable[[CallRequest], str | None]


def refusals(call: CallRequest) -> Iterator[CallRefused]:
    """The refusal of each rule that does not allow the call, with the code `call_rule`."""
    for path in settings.call_rules:
        try:
            rule: Rule = import_string(path)
            reason = rule(call)
        except Exception:
            logger.exception("The call rule %s failed, so the call is refused.", path)
            reason = _("A rule of this site could not be checked. Try again later.")
        if reason:
            yield CallRefused("call_rule", str(reason))
