"""The search of the list of calls: by number, by call id, by user. Each by an index, never by
reading all calls.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q

from .. import permissions
from ..conf import settings
from ..protocol import number_search

NOTHING = Q(pk__in=[])
MOST_USERS = 50  # whose names begin alike


def condition(text: str, user: Any) -> Q:
    """What a call must meet to be found by this text, for this user.

    Words with a letter are call ids, or user names or their beginnings; the rest is a number, or
    its beginning, in any spelling, also that of a `tel:` link or in wide digits. All must hold.
    Whoever may not see numbers finds none by one.
    """
    text = unicodedata.normalize("NFKC", text).strip().removeprefix("tel:")
    words = [word for word in text.split() if _is_word(word)]
    number = " ".join(word for word in text.split() if not _is_word(word))
    found = Q()
    for word in words:
        found &= Q(webcallid=word) | Q(user_id__in=_users(word))
    if number:
        found &= _by_number(number) if permissions.may_see_numbers(user) else NOTHING
    return found


def _is_word(word: str) -> bool:
    digits = sum(letter.isdecimal() for letter in word)
    return digits > 20 or any(letter.isalpha() or letter in "@_" for letter in word)


def _by_number(text: str) -> Q:
    found = NOTHING
    for beginning in number_search.beginnings(text, settings.default_region):
        first, behind = number_search.span(beginning)
        for column in ("from_number", "to_number"):
            span = Q(**{f"{column}__gte": first})
            found |= span & Q(**{f"{column}__lt": behind}) if behind else span
    return found


def _users(word: str) -> list[Any]:
    """The keys of the users whose name begins so, as it is written or in small letters."""
    name = f"{get_user_model().USERNAME_FIELD}__startswith"
    begins = Q(**{name: word}) | Q(**{name: word.lower()})
    users = get_user_model()._default_manager.filter(begins)
    return list(users.values_list("pk", flat=True)[:MOST_USERS])
