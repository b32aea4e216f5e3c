"""The Unicode CLDR, which has the names of countries and currencies."""

from __future__ import annotations

from babel import Locale, UnknownLocaleError


def locale_of(language: str | None) -> Locale:
    """The locale of one of Django's languages, such as "de-at"; English for those without one."""
    for each in (language or "", (language or "").split("-")[0]):
        try:
            return Locale.parse(each, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")
