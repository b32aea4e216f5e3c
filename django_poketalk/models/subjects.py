"""The objects that calls are about, which may be in another database than the calls."""

from __future__ import annotations

from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import models


class SubjectField(GenericForeignKey):
    """Finds the object with its own model's database router. Django's field looks for the object,
    and for its content type, in the database of the row that refers to it.

    The object is None if it or its model no longer exists, or if the id is not valid for the model.
    """

    def contribute_to_class(  # type: ignore[override]  # as in Django's own class
        self, cls: type[models.Model], name: str, **options: Any
    ) -> None:
        super().contribute_to_class(cls, name, **options)
        setattr(cls, name, _Descriptor(self, cls.__dict__[name]))

    def get_content_type(
        self,
        obj: models.Model | None = None,
        id: int | None = None,  # noqa: A002  # as Django calls it
        using: str | None = None,
        model: type[models.Model] | None = None,
    ) -> ContentType:
        if obj is not None:
            return ContentType.objects.get_for_model(obj)
        return super().get_content_type(id=id, using=using, model=model)

    def load(self, instance: models.Model) -> models.Model | None:
        """The object as it is stored."""
        type_id = getattr(instance, f"{self.ct_field}_id")
        model = None if type_id is None else ContentType.objects.get_for_id(type_id).model_class()
        key = None if model is None else key_of(model, getattr(instance, self.fk_field))
        return None if model is None else model._base_manager.filter(pk=key).first()

    def refers_to(self, instance: models.Model, obj: models.Model) -> bool:
        """Whether the row is about this object."""
        type_id = getattr(instance, f"{self.ct_field}_id")
        key = str(getattr(instance, self.fk_field))
        return self.get_content_type(obj).pk == type_id and str(obj.pk) == key


class _Descriptor:
    """`call.subject`. Everything but reading it is left to Django's own descriptor."""

    def __init__(self, field: SubjectField, original: Any) -> None:
        self._field = field
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __get__(self, instance: models.Model | None, cls: type | None = None) -> Any:
        if instance is None:
            return self
        if self._field.is_cached(instance):
            kept = self._field.get_cached_value(instance)
            if kept is None or self._field.refers_to(instance, kept):
                return kept
        found = self._field.load(instance)
        self._field.set_cached_value(instance, found)
        return found

    def __set__(self, instance: models.Model, value: models.Model | None) -> None:
        self._original.__set__(instance, value)


def key_of(model: type[models.Model], text: str) -> Any:
    """The primary key in this text, or None if it is not valid for the model."""
    try:
        return model._meta.pk.to_python(text)
    except ValidationError:
        return None
