"""The contacts of the CRM."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from django_poketalk.models.numbers import NUMBER_LENGTH, validate_number
from django_poketalk.protocol import numbers


class ContactQuerySet(models.QuerySet["Contact"]):
    def search(self, text: str) -> ContactQuerySet:
        """Contacts whose name, company, note or number contains this text. Digits match numbers in
        any grouping.
        """
        found = Q(name__icontains=text) | Q(company__icontains=text) | Q(note__icontains=text)
        digits = "".join(filter(str.isdecimal, text)).lstrip("0")
        if digits:
            found |= Q(phone__contains=digits)
        return self.filter(found)


class Contact(models.Model):
    """A person and their phone number (E.164)."""

    name = models.CharField(max_length=100)
    company = models.CharField(max_length=100, blank=True)
    phone = models.CharField(
        max_length=NUMBER_LENGTH,
        validators=[validate_number],
        help_text="With + and country code.",
    )
    note = models.CharField(max_length=200, blank=True)

    objects = ContactQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["phone"], name="contacts_one_contact_a_phone")
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("contacts:detail", args=[self.pk])

    @property
    def phone_display(self) -> str:
        """The number in groups of digits."""
        return numbers.display(self.phone)

    @property
    def hue(self) -> int:
        """The index of the avatar's color in the style sheet, 0 to 5."""
        return self.pk % 6

    @property
    def initials(self) -> str:
        return "".join(word[0] for word in self.name.split()[:2]).upper()
