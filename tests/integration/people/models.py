"""The users, the contacts whom they call, and what else a CRM keeps."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.contrib.contenttypes.fields import GenericRelation
from django.db import models
from phonenumber_field.modelfields import PhoneNumberField

from django_poketalk.models import CallRequest


class User(AbstractUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.CharField(max_length=20, blank=True)


class Contact(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    phone = PhoneNumberField()
    calls = GenericRelation(
        CallRequest, content_type_field="subject_type", object_id_field="subject_id"
    )

    def __str__(self) -> str:
        return self.name


class Activity(models.Model):
    """An entry of a contact's timeline."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="activities")
    call_id = models.BigIntegerField(unique=True)
    text = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.text


class ArchivedDeal(models.Model):
    """Is in the database `archive`."""

    name = models.CharField(max_length=100)
    phone = models.CharField(max_length=40)

    def __str__(self) -> str:
        return self.name
