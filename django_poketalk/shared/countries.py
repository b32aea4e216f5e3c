"""The names of countries, from the Unicode CLDR."""

from __future__ import annotations

from functools import cache

from django.utils.translation import get_language

from .cldr import locale_of


def name(code: str) -> str:
    """The country's name in the current language; the code itself if it has none.

    `code` is an ISO 3166 alpha-2 code, such as "GB".
    """
    return _names(get_language()).get(code, code)


def with_name(code: str) -> str:
    """The code with the name, such as `GB (United Kingdom)`, for sentences, in which the name alone
    would have to be inflected.
    """
    return code if name(code) == code else f"{code} ({name(code)})"


@cache
def _names(language: str | None) -> dict[str, str]:
    return dict(locale_of(language).territories)
