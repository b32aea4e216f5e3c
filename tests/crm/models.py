"""Models of a project, which calls can be about."""

from __future__ import annotations

from django.db import models
from django.utils.functional import cached_property


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
