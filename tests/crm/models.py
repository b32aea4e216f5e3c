"""Models of a project, which calls can be about."""

from __future__ import annotations

import uuid

from django.contrib.contenttypes.fields import GenericRelation
from django.db import models
from django.utils.functional import cached_property

from django_poketalk.models import CallRequest


class Company(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Contact(models.Model):
    name = models.CharField(max_length=100)
    phone = models.CharField(max_length=40, blank=True)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, null=True)

    def __str__(self) -> str:
        return self.name

    @property
    def phone_of_name(self) -> str:
        return self.name.rpartition(" ")[2]

    @cached_property
    def phone_of_card(self) -> str:
        return self.phone_of_name

    def forget(self) -> str:
        raise AssertionError("A call button must not run methods.")


class Activity(models.Model):
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="activities")
    call_id = models.BigIntegerField(unique=True)
    text = models.CharField(max_length=200)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.text


class Lead(models.Model):
    """Has a UUID as its primary key, and a relation to its calls."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    phone = models.CharField(max_length=40)
    calls = GenericRelation(
        CallRequest,
        content_type_field="subject_type",
        object_id_field="subject_id",
        related_query_name="lead",
    )

    def __str__(self) -> str:
        return self.name


class Deal(models.Model):
    """Has an integer as its primary key, and a relation to its calls."""

    name = models.CharField(max_length=100)
    calls = GenericRelation(
        CallRequest, content_type_field="subject_type", object_id_field="subject_id"
    )

    def __str__(self) -> str:
        return self.name
