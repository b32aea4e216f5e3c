"""The pages of the CRM. htmx loads a contact's card into the list; Turbo replaces whole pages."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from .models import Contact


@login_required
def contacts(request: HttpRequest) -> HttpResponse:
    return render(request, "people/contacts.html", {"contacts": Contact.objects.order_by("name")})


@login_required
def contact(request: HttpRequest, pk: Any) -> HttpResponse:
    found = get_object_or_404(Contact, pk=pk)
    return render(request, "people/contact.html", {"contact": found})


@login_required
def card(request: HttpRequest, pk: Any) -> HttpResponse:
    found = get_object_or_404(Contact, pk=pk)
    back = getattr(request, "htmx", None) and request.htmx.current_url_abs_path  # type: ignore[attr-defined]
    return render(request, "people/card.html", {"contact": found, "back": back or ""})
