"""What a call button carries: a signed order to call, for one user, for a while.

The page holds nothing but the token, so it can't choose the number ("Good Practice" of the
protocol's page: send numbers that are stored in your database, not ones of a form that can be
manipulated). What is signed can be read, though: give the object and the name of its field rather
than the number wherever the page shall not tell it.
"""

from __future__ import annotations

import functools
import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.core import signing
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ObjectDoesNotExist
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from ..calls import orders, requesting
from ..conf import settings
from ..exceptions import CallRefused
from ..models import CallRequest
from ..models.numbers import validate_number
from ..permissions import Person

SALT = "django_poketalk.button"
PROPERTIES = (property, functools.cached_property, cached_property)


@dataclass(frozen=True, slots=True)
class Reference:
    """A stored object: its model as `app_label.model` and its primary key as text."""

    model: str
    pk: str

    @classmethod
    def to(cls, stored: models.Model) -> Reference:
        """The reference to a saved object; ValueError when it was never saved."""
        if stored.pk is None:
            raise ValueError(f"{stored!r} is not saved, so no call can be about it.")
        return cls(stored._meta.label_lower, str(stored.pk))

    def fetch(self) -> models.Model:
        """The object as it is now; `CallRefused` when there is none any more."""
        try:
            model: type[models.Model] = apps.get_model(self.model)
            return model._default_manager.get(pk=self.pk)
        except (LookupError, ObjectDoesNotExist) as error:
            raise CallRefused(
                "subject_gone", _("The object you wanted to call about no longer exists.")
            ) from error


@dataclass(frozen=True, slots=True)
class Button:
    """An order to call `number`, or the number that `field` of `source` holds at the click.

    `max_duration` is in seconds, `max_cost` in the account's currency; None takes the setting.
    `nonce` tells one rendered button from the next.
    """

    nonce: str
    number: str = ""
    source: Reference | None = None
    field: str = ""
    subject: Reference | None = None
    max_duration: int | None = None
    max_cost: Decimal | None = None

    @property
    def idempotency_key(self) -> str:
        """The key of the call that this button makes, however often it is pressed."""
        return f"button-{self.nonce}"

    def place(self, user: Person) -> CallRequest:
        """The call of this button: the one that it has already made, or a new one. `CallRefused`.

        A button that has made its call keeps it, even if the stored number has changed since.
        """
        made = requesting.made_with(self.idempotency_key, user)
        if made:
            return made
        number, subject = self.callee()
        order: orders.UserOrder = {
            "to_number": number,
            "subject": subject,
            "max_duration": self.max_duration,
            "max_cost": self.max_cost,
        }
        return orders.place(order, user, self.idempotency_key)

    def callee(self) -> tuple[str, models.Model | None]:
        """The number to call and the object that the call is about, as they are stored now.

        `CallRefused` when the number or an object is gone. The object whose field is called is the
        subject unless another is named.
        """
        source = self.source.fetch() if self.source else None
        subject = self.subject.fetch() if self.subject else source
        number = read_field(source, self.field) if source else self.number
        if not number:
            raise CallRefused("number_missing", _("There is no phone number to call."), "to_number")
        return number, subject


def new_nonce() -> str:
    """128 unguessable bits as text."""
    return secrets.token_urlsafe(16)


def sign(button: Button, user: Person) -> str:
    """The token of a button that only `user` can press, for `settings.button_max_age` seconds."""
    order: dict[str, Any] = {"u": str(user.pk), "n": button.nonce}
    if button.number:
        order["to"] = button.number
    if button.source:
        order["o"] = [button.source.model, button.source.pk, button.field]
    if button.subject:
        order["s"] = [button.subject.model, button.subject.pk]
    if button.max_duration is not None:
        order["t"] = button.max_duration
    if button.max_cost is not None:
        order["d"] = str(button.max_cost)
    return signing.dumps(order, salt=SALT, compress=True)


def read(token: str, user: Person) -> Button:
    """The button that was signed for `user`.

    `CallRefused` when it was altered, is too old, or is somebody else's.
    """
    try:
        order = signing.loads(token, salt=SALT, max_age=settings.button_max_age)
    except signing.SignatureExpired as error:
        raise CallRefused(
            "button_expired",
            _("This button has expired. Go back, reload the page and press it again."),
        ) from error
    except signing.BadSignature as error:
        raise CallRefused(
            "button_altered",
            _("This button is not valid. Go back, reload the page and press it again."),
        ) from error
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
        max_duration=order.get("t"),
        max_cost=Decimal(order["d"]) if "d" in order else None,
    )


def read_field(stored: models.Model, name: str) -> str:
    """The number that a field or property of the object holds, "" for none.

    `ImproperlyConfigured` for anything else: related objects and methods could do more than tell a
    number.
    """
    check_field(type(stored), name)
    return str(getattr(stored, name) or "").strip()


def number_fields(model: type[models.Model]) -> list[str]:
    """The model's columns that hold phone numbers: those of django-phonenumber-field, and those
    with our validator.
    """
    return [
        field.name
        for field in model._meta.concrete_fields
        if validate_number in field.validators
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
