"""The reasons why a text is no phone number, for people, in their language."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ..protocol.numbers import InvalidNumber


def explain(error: InvalidNumber) -> str:
    """One or two translated sentences: the reason, and where it helps an example for the region."""
    return _(error.sentence) % error.params
