"""The subjects of calls: loads the objects that calls are about, and finds the calls about one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils.translation import gettext as _

from ..exceptions import CallRefused
from ..models import CallRequest
from ..models.calls import CallRequestQuerySet
from ..models.subjects import key_of


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
        found: models.Model | None = model._default_manager.filter(pk=key_of(model, key)).first()
    except (LookupError, ValueError, OverflowError):
        return None
    return found if key.isascii() else None


def unknown() -> CallRefused:
    """The refusal for an object that does not exist or that the user may not call about. It is the
    same for both, so that it does not reveal which objects exist.
    """
    return CallRefused(
        "subject_unknown",
        _("This object does not exist, or you are not allowed to call about it."),
        "subject",
    )


def load(calls: Iterable[CallRequest]) -> None:
    """Set the `subject` of each call, with one query for each model.

    It is None if the object or its model no longer exists, or if the id is not valid for the model.
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
    keys = {call.pk: key_of(model, call.subject_id) for call in calls}
    found = model._base_manager.in_bulk({key for key in keys.values() if key is not None})
    for call in calls:
        remember(call, found.get(keys[call.pk]))


def remember(call: CallRequest, subject: models.Model | None) -> None:
    """Set the call's `subject` to an object that is already loaded."""
    CallRequest._meta.get_field("subject").set_cached_value(call, subject)
