"""The signed token of a call button. It allows one user to place one call for a limited time.

The page only contains the token, so the user cannot change the number. (The protocol's "Good
Practice" is to use numbers stored in your database, and not from a form that can be manipulated.) A
token is signed but not encrypted. If the page must not reveal the number, pass an object and the
name of its field instead.
"""

from __future__ import annotations

import functools
import secrets
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.core import signing
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ObjectDoesNotExist
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from .. import permissions
from ..calls import call_backs, caller_phones, orders, requesting, subjects
from ..conf import settings
from ..exceptions import CallRefused, IdempotencyConflict
from ..models import CallRequest, Phone
from ..models.numbers import validate_number
from ..models.phones import validate_phone
from ..permissions import Person
from ..protocol import numbers

SALT = "django_poketalk.button"
PROPERTIES = (property, functools.cached_property, cached_property)


@dataclass(frozen=True, slots=True)
class Reference:
    """A stored object: its model as `app_label.model` and its primary key as text."""

    model: str
    pk: str

    @classmethod
    def to(cls, stored: models.Model) -> Reference:
        """The reference to an object. Raises `ValueError` if it was never saved."""
        if stored.pk is None:
            raise ValueError(f"{stored!r} must be saved before a call can be about it.")
        return cls(stored._meta.label_lower, str(stored.pk))

    def fetch(self) -> models.Model:
        """The object as it is now. Raises `CallRefused` if it no longer exists."""
        try:
            model: type[models.Model] = apps.get_model(self.model)
            return model._default_manager.get(pk=self.pk)
        except (LookupError, ObjectDoesNotExist) as error:
            raise CallRefused(
                "subject_gone", _("The object you wanted to call about no longer exists.")
            ) from error


@dataclass(frozen=True, slots=True)
class Button:
    """A button that calls `number`, or the number in `field` of `source` when it is pressed.

    `metadata` is the JSON object that the call is requested with (`models.metadata`). `call_back`
    is the primary key of the user's call back that the call does. `max_duration` is in seconds,
    `max_cost` in the account's currency. None means that the setting applies. `nonce` is unique for
    each call. `rendered_at` is when the page was rendered (seconds since the epoch, 0 means now).
    The tokens for further calls of the same button keep it.
    """

    nonce: str
    number: str = ""
    source: Reference | None = None
    field: str = ""
    subject: Reference | None = None
    metadata: dict[str, Any] | None = None
    call_back: int | None = None
    max_duration: int | None = None
    max_cost: Decimal | None = None
    rendered_at: int = 0

    @property
    def idempotency_key(self) -> str:
        """The key of this button's call. It is the same however often the button is pressed."""
        return f"button-{self.nonce}"

    def place(self, user: Person, phone: str = "") -> CallRequest:
        """The call of this button: the one that it has already made, or a new one. `CallRefused`.

        `phone` is the number of one of the user's own phones, by default that of the default one. A
        button that has made its call keeps it, even if the stored number has changed since.
        """
        made = requesting.made_with(self.idempotency_key, user)
        if made:
            return made
        number, subject = self.callee(user)
        order: orders.UserOrder = {
            "to_number": number,
            "subject": subject,
            "metadata": self.metadata,
            "max_duration": self.max_duration,
            "max_cost": self.max_cost,
        }
        if phone:
            order["from_number"] = caller_phones.chosen_number(Phone.objects.for_user(user), phone)
        try:
            call = orders.place(order, user, self.idempotency_key)
            if self.call_back is not None:
                call_backs.finish(self.call_back, user, call)
            return call
        except IdempotencyConflict:  # pressed twice at the same moment, for different phones
            made = requesting.made_with(self.idempotency_key, user)
            if made is None:
                raise
            return made

    def callee(self, user: Person) -> tuple[str, models.Model | None]:
        """The number to call and the subject of the call, as they are stored now.

        The subject is `source`, unless `subject` is set. Raises `CallRefused` if the number or an
        object no longer exists, or if the user may not call about it any more.
        """
        source = self.source.fetch() if self.source else None
        subject = self.subject.fetch() if self.subject else source
        for about in (source, subject):
            if about is not None and not permissions.may_call_about(user, about):
                raise subjects.unknown()
        number = read_field(source, self.field) if source else self.number
        if not number:
            raise CallRefused("number_missing", _("There is no phone number to call."), "to_number")
        return number, subject


def new_nonce() -> str:
    """128 random bits as text."""
    return secrets.token_urlsafe(16)


def sign(button: Button, user: Person) -> str:
    """The token of a button that only `user` can use, for `settings.button_max_age` seconds."""
    rendered_at = button.rendered_at or int(time.time())
    order: dict[str, Any] = {"u": str(user.pk), "n": button.nonce, "a": rendered_at}
    if button.number:
        order["to"] = button.number
    if button.source:
        order["o"] = [button.source.model, button.source.pk, button.field]
    if button.subject:
        order["s"] = [button.subject.model, button.subject.pk]
    if button.metadata:
        order["m"] = button.metadata
    if button.call_back is not None:
        order["b"] = button.call_back
    if button.max_duration is not None:
        order["t"] = button.max_duration
    if button.max_cost is not None:
        order["d"] = str(button.max_cost)
    return signing.dumps(order, salt=SALT, compress=True)


def read(token: str, user: Person) -> Button:
    """The button that was signed for `user`.

    Raises `CallRefused` if the token was altered, has expired, or belongs to another user.
    """
    try:
        order = signing.loads(token, salt=SALT)
    except signing.BadSignature as error:
        raise CallRefused(
            "button_altered",
            _("This button is not valid. Go back, reload the page and press it again."),
        ) from error
    if time.time() - order["a"] > settings.button_max_age:
        raise CallRefused(
            "button_expired",
            _("This button has expired. Go back, reload the page and press it again."),
        )
    if order["u"] != str(user.pk):
        raise CallRefused(
            "button_not_yours",
            _("This button belongs to another user. Go back, reload the page and press it again."),
        )
    model, pk, field = order.get("o", (None, None, ""))
    return Button(
        nonce=order["n"],
        number=order.get("to", ""),
        source=Reference(model, pk) if model else None,
        field=field,
        subject=Reference(*order["s"]) if "s" in order else None,
        metadata=order.get("m"),
        call_back=order.get("b"),
        max_duration=order.get("t"),
        max_cost=Decimal(order["d"]) if "d" in order else None,
        rendered_at=order["a"],
    )


def read_field(stored: models.Model, name: str) -> str:
    """The number in a column or property of the object, or "" if it has none. A phone number object
    is returned with its country code.

    Raises `ImproperlyConfigured` for anything else, such as relations and methods.
    """
    check_field(type(stored), name)
    return numbers.as_text(getattr(stored, name)).strip()


def number_fields(model: type[models.Model]) -> list[str]:
    """The model's columns with our validator, and its fields of django-phonenumber-field."""
    return [
        field.name
        for field in model._meta.concrete_fields
        if any(each in field.validators for each in (validate_number, validate_phone))
        or any(kind.__name__ == "PhoneNumberField" for kind in type(field).__mro__)
    ]


def check_field(model: type[models.Model], name: str) -> None:
    """Raise `ImproperlyConfigured` unless `name` is a column or a property of the model."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        if not isinstance(getattr(model, name, None), PROPERTIES):
            raise ImproperlyConfigured(
                f"{model._meta.label} has no field {name!r} to call: "
                "name one of its columns or properties."
            ) from None
    else:
        if field.is_relation or not getattr(field, "concrete", False):
            raise ImproperlyConfigured(
                f"{model._meta.label}.{name} is a relation, not a phone number: "
                "give the related object and its field."
            )
