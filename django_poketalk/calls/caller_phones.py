"""Chooses the phone that rings first: one of the user's own phones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import permissions
from ..exceptions import CallRefused
from ..models import CallRequest, Phone

NO_OWN_NUMBER = gettext_lazy("Your own phone rings first, but its number is not set yet.")
UNVERIFIED = gettext_lazy("Your phone %(phone)s is not verified yet, so it cannot ring first.")


def own_number(user: Any) -> str:
    """The number of the user's default phone (E.164, or an internal number). Raises `CallRefused`
    if the user has no phone, or if it has to be verified first.
    """
    return chosen_number(Phone.objects.for_user(user))


def chosen_number(phones: list[Phone], number: str = "") -> str:
    """Of a user's phones, the number of the one with this number, or of the default one for "".

    Raises `CallRefused` if there is none, or if it has to be verified first.
    """
    if not phones:
        raise CallRefused("no_own_number", str(NO_OWN_NUMBER), "from_number")
    phone = find(phones, number) if number else phones[0]
    if phone is None:
        raise _not_yours()
    if not phone.may_ring:
        words = {"phone": phone.display}
        raise CallRefused("phone_unverified", str(UNVERIFIED) % words, "from_number")
    return phone.number


def find(phones: Iterable[Phone], number: str) -> Phone | None:
    """The phone with this number, as it is stored."""
    return next((phone for phone in phones if phone.number == number), None)


def is_own(user: Any, number: str) -> bool:
    """Whether this is the number of one of the user's own phones that may ring first."""
    phone = find(Phone.objects.for_user(user), number)
    return phone is not None and phone.may_ring


def refusal(call: CallRequest) -> CallRefused | None:
    """The refusal of a call that requires permission, if the phone that rings first is neither one
    of its user's own that may ring, nor one that they may choose.
    """
    user = call.user
    if user is None or not call.requires_permission or is_own(user, call.from_number):
        return None
    if permissions.may_choose_caller(user, call.from_number):
        return None
    return _not_yours()


def choice(phones: list[Phone]) -> list[Phone]:
    """Of a user's phones, those among which the user may choose for each call: the default one, and
    the others that may ring first. Empty if there is nothing to choose.
    """
    found = [*phones[:1], *(phone for phone in phones[1:] if phone.may_ring)]
    return found if len(found) > 1 else []


def _not_yours() -> CallRefused:
    return CallRefused("phone_not_yours", _("This is not one of your own phones."), "from_number")
