"""The subjects of calls: loads the objects that calls are about, and finds the calls about one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import models

from ..models import CallRequest
from ..models.calls import CallRequestQuerySet


def calls_about(stored: models.Model, among: CallRequestQuerySet) -> CallRequestQuerySet:
    """The calls about this object, newest first."""
    content_type = ContentType.objects.get_for_model(stored)
    return among.filter(subject_type=content_type, subject_id=str(stored.pk)).order_by("-id")


def find(label: str, key: str) -> models.Model | None:
    """The object of this model (`app_label.model`) with this primary key as text. None if there is
    no such object or model, or if the key is not valid for the model.
    """
    try:
        model: type[models.Model] = apps.get_model(label)
        found: models.Model | None = model._default_manager.filter(pk=_key(model, key)).first()
    except (LookupError, ValueError, OverflowError):
        return None
    return found if key.isascii() else None


def load(calls: Iterable[CallRequest]) -> None:
    """Set the `subject` of each call, with one query for each model.

    It is None if the object or its model no longer exists, or if the id is not valid for the model.
    In the last two cases, reading `call.subject` without this function raises an exception.
    """
    waiting: dict[int, list[CallRequest]] = defaultdict(list)
    for call in calls:
        remember(call, None)
        if call.subject_type_id is not None:
            waiting[call.subject_type_id].append(call)
    for type_id, group in waiting.items():
        model = ContentType.objects.get_for_id(type_id).model_class()
        if model is not None:
            _load_group(model, group)


def _load_group(model: type[models.Model], calls: list[CallRequest]) -> None:
    keys = {call.pk: _key(model, call.subject_id) for call in calls}
    found = model._base_manager.in_bulk({key for key in keys.values() if key is not None})
    for call in calls:
        remember(call, found.get(keys[call.pk]))


def _key(model: type[models.Model], text: str) -> Any:
    try:
        return model._meta.pk.to_python(text)
    except ValidationError:
        return None


def remember(call: CallRequest, subject: models.Model | None) -> None:
    """Set the call's `subject` to an object that is already loaded."""
    CallRequest._meta.get_field("subject").set_cached_value(call, subject)
