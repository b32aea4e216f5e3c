"""The currencies of our accounts, as the services say."""

from __future__ import annotations

from django.db import models


class ServiceCurrency(models.Model):
    """The currency (ISO 4217) of our account at the service with this alias."""

    alias = models.CharField(max_length=40, primary_key=True)
    currency = models.CharField(max_length=3)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.alias}: {self.currency}"
