"""The search in the list of calls: by number, call id, user and subject. Each uses an index."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q

from .. import permissions
from ..conf import settings
from ..models import CallRequest
from ..protocol import number_search, numbers

NOTHING = Q(pk__in=[])
MAX_USERS = 50  # the most users whose names begin with the same text


def condition(text: str, user: Any, about: Q = NOTHING) -> Q:
    """The condition for the calls that match this text, for this user. `about` are the calls about
    objects that match its `words`.

    Each word with a letter is a call id or the beginning of a user name, or all of them together
    match an object. The rest is the beginning of a number, in any format, including `tel:` links
    and full-width digits. A call must match everything. Users who may not see numbers find nothing
    by number.
    """
    text = numbers.clean(text).removeprefix("tel:")
    if number_search.has_extension(text):
        return _by_number(text) if permissions.may_see_numbers(user) else NOTHING
    found = Q()
    for word in words(text):
        found &= _by_word(word)
    if found:
        found |= about
    number = " ".join(word for word in text.split() if not _is_word(word))
    if number:
        found &= _by_number(number) if permissions.may_see_numbers(user) else NOTHING
    return found


def words(text: str) -> list[str]:
    """The words of the text that are not part of a number."""
    text = numbers.clean(text).removeprefix("tel:")
    if number_search.has_extension(text):
        return []
    return [word for word in text.split() if _is_word(word)]


def _is_word(word: str) -> bool:
    digits = sum(letter.isdecimal() for letter in word)
    return digits > 20 or any(letter.isalpha() or letter in "@_" for letter in word)


def _by_word(word: str) -> Q:
    """The call with this id, and the calls of the users. Looks for the call first: mostly there is
    none, and a database finds the calls of users alone in the order of an index.
    """
    users = Q(user_id__in=_users(word))
    call = CallRequest.objects.filter(webcallid=word).values_list("pk", flat=True).first()
    return users if call is None else users | Q(pk=call)


def _by_number(text: str) -> Q:
    found = NOTHING
    for beginning in number_search.beginnings(text, settings.default_region):
        first, behind = number_search.span(beginning)
        for column in ("from_number", "to_number"):
            span = Q(**{f"{column}__gte": first})
            found |= span & Q(**{f"{column}__lt": behind}) if behind else span
    return found


def _users(word: str) -> list[Any]:
    """The keys of the users whose name begins with this word, as entered or in lower case."""
    name = f"{get_user_model().USERNAME_FIELD}__startswith"
    begins = Q(**{name: word}) | Q(**{name: word.lower()})
    users = get_user_model()._default_manager.filter(begins)
    return list(users.values_list("pk", flat=True)[:MAX_USERS])
