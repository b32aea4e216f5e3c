"""The results that people choose from when a call has ended."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

RESULTS = {
    "interested": _("Interested"),
    "later": _("Call again later"),
    "refused": _("Not interested"),
    "voicemail": _("Left a message"),
    "wrong-number": _("Wrong number"),
}
