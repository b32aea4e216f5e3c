"""Proves that a phone belongs to its user: a code is sent to it, and the user enters the code.

Codes are never stored or logged, only a digest with a key. What limits guesses and messages to
strangers is counted in the database.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

from django.db.models import F
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..exceptions import VerificationRefused
from ..models import Phone, VerificationCode
from ..models.phones import one_change_at_a_time
from ..protocol import numbers
from ..shared.logs import get_logger
from . import retention

logger = get_logger(__name__)

STAFF = "staff"  # of `VERIFY_PHONES`: people verify phones in the admin
DIGITS = 6
MAX_AGE = timedelta(minutes=10)
MOST_ATTEMPTS = 5  # for each code
MOST_CODES = 3  # within `retention.CODES_KEPT`, to each number, and for each user
SALT = "django_poketalk.calls.verification"

Sender = Callable[[Phone, str], object]


def sends_codes() -> bool:
    """Whether phones are verified by codes."""
    return settings.verify_phones not in (None, STAFF)


@sensitive_variables("code")
def send_code(phone: Phone) -> None:
    """Send a new code to the phone. Earlier codes no longer work.

    Raises `VerificationRefused` if too many codes were sent, or if the code could not be sent.
    """
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    now = timezone.now()
    with one_change_at_a_time(phone.user_id):
        # And one at a time for each number: all who have it have a phone with it.
        list(Phone.objects.select_for_update().filter(number=phone.number).order_by("pk"))
        retention.forget_old_codes(now)
        to_number = VerificationCode.objects.filter(number=phone.number).count()
        for_user = VerificationCode.objects.filter(user_id=phone.user_id).count()
        if max(to_number, for_user) >= MOST_CODES:
            raise VerificationRefused(
                "too_many_codes", _("Too many codes were sent in the last hour. Try again later.")
            )
        VerificationCode.objects.create(
            user_id=phone.user_id,
            number=phone.number,
            digest=_digest(phone, code),
            created_at=now,
        )
    try:
        _sender()(phone, code)
    except Exception as error:
        # The message and the traceback of the sender could contain the code.
        logger.error("The code for phone %s could not be sent: %s.", phone.pk, type(error).__name__)
        raise VerificationRefused(
            "code_not_sent", _("The code could not be sent. Try again later.")
        ) from None


@sensitive_variables("entered", "code")
def enter_code(phone: Phone, entered: str) -> None:
    """Verify the phone with the code that was sent to it.

    Raises `VerificationRefused` if the code is wrong or has expired, or after too many attempts.
    """
    now = timezone.now()
    sent = current_code(phone, now)
    if sent is None:
        raise VerificationRefused(
            "code_expired", _("This code has expired, or was used. Request a new one.")
        )
    code = "".join(filter(str.isdigit, numbers.clean(entered[: 4 * DIGITS])))
    # Counted before it is compared, so that requests at the same moment have no more attempts.
    counted = VerificationCode.objects.filter(pk=sent.pk, attempts__lt=MOST_ATTEMPTS).update(
        attempts=F("attempts") + 1
    )
    if not counted:
        raise VerificationRefused(
            "too_many_attempts", _("You entered a wrong code too many times. Request a new one.")
        )
    if not constant_time_compare(_digest(phone, code), sent.digest) or not phone.verify(now):
        raise VerificationRefused(
            "code_wrong", _("This code is not right. Check it and try again.")
        )
    VerificationCode.objects.filter(pk=sent.pk).update(digest="")  # it works only once


def current_code(phone: Phone, now: datetime) -> VerificationCode | None:
    """The newest code that was sent to the phone, unless it has expired or was used."""
    codes = VerificationCode.objects.filter(user_id=phone.user_id, number=phone.number)
    newest = codes.order_by("-pk").first()
    if newest is None or not newest.digest or newest.created_at <= now - MAX_AGE:
        return None
    return newest


def _sender() -> Sender:
    return cast("Sender", import_string(str(settings.verify_phones)))


def _digest(phone: Phone, code: str) -> str:
    """Depends on the user and the number too, so that a code is of use for one phone only."""
    value = f"{phone.user_id}\n{phone.number}\n{code}"
    return salted_hmac(SALT, value, algorithm="sha256").hexdigest()
